//! Finds any of many forms in one pass, byte by byte.
//!
//! The automaton is Aho and Corasick's. Each of its states is the longest end of what was read that
//! begins a form; its length is all that must be held back, or less where that form is whole and begins
//! no longer one.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

/// The most bytes of all forms together: some 40 bytes of memory each.
const BYTES_MAX: usize = 8 << 20;

/// An automaton over forms.
pub(super) struct Matcher {
    automaton: NFA,
    start: StateID,
    /// By state: how many bytes at the end of what was read may go on to be a form.
    held: Vec<u32>,
}

impl Matcher {
    /// Over these forms; `None` where they are too large together.
    pub(super) fn of(forms: impl Iterator<Item = Vec<u8>>) -> Option<Self> {
        let mut forms: Vec<Vec<u8>> = forms.collect();
        forms.sort_unstable_by_key(Vec::len);
        if forms.iter().map(Vec::len).sum::<usize>() > BYTES_MAX {
            return None;
        }
        let automaton =
            NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(&forms).ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let mut matcher = Self { automaton, start, held: Vec::new() };
        for form in &forms {
            matcher.measure(form);
        }
        // The shorter ones first: each rests on one that is shorter.
        for form in &forms {
            matcher.release(form);
        }
        Some(matcher)
    }

    /// What stands before a form's last byte may go on to be it.
    fn measure(&mut self, form: &[u8]) {
        let mut state = self.start;
        let inside = form.split_last().map_or(form, |(_, inside)| inside);
        for (depth, byte) in (1_u32..).zip(inside) {
            state = self.next(state, *byte);
            self.hold(state, depth);
        }
    }

    /// A whole form that begins no longer one is held no more than what else its end may go on to be.
    fn release(&mut self, form: &[u8]) {
        let after = |bytes: &[u8]| bytes.iter().fold(self.start, |at, byte| self.next(at, *byte));
        let whole = after(form);
        if self.held(whole) == 0 {
            let rest = form.split_first().map_or(form, |(_, rest)| rest);
            let held = self.held(after(rest));
            self.hold(whole, u32::try_from(held).unwrap_or(u32::MAX));
        }
    }

    fn hold(&mut self, state: StateID, bytes: u32) {
        let at = state.as_usize();
        if self.held.len() <= at {
            self.held.resize(at + 1, 0);
        }
        if let Some(held) = self.held.get_mut(at) {
            *held = bytes;
        }
    }

    /// The state in which nothing was read.
    pub(super) fn start(&self) -> StateID {
        self.start
    }

    /// The state after one byte more.
    pub(super) fn next(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }

    /// How many bytes at the end of what was read may be the beginning of a form.
    pub(super) fn held(&self, state: StateID) -> usize {
        self.held.get(state.as_usize()).map_or(0, |held| *held as usize)
    }

    /// The length of the longest form that ends here; 0 where none does.
    pub(super) fn found(&self, state: StateID) -> usize {
        if !self.automaton.is_match(state) {
            return 0;
        }
        (0..self.automaton.match_len(state))
            .map(|index| self.automaton.pattern_len(self.automaton.match_pattern(state, index)))
            .max()
            .unwrap_or(0)
    }
}
