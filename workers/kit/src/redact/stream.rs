//! Replaces secrets in what comes in pieces, wherever the pieces are cut.
//!
//! What may be the beginning of a secret is held back until it is one or is none, and nothing else is.
//! The same bytes give the same result however they were cut.

use aho_corasick::automaton::StateID;

use super::matcher::Matcher;
use super::{MASK, Redactor};

/// A stream of bytes on its way out.
#[derive(Debug)]
pub struct Stream {
    redactor: Redactor,
    state: Option<StateID>,
    /// What came and has not gone.
    pub(super) held: Vec<u8>,
    /// Which parts of `held` are secrets, in their order and apart from each other.
    masks: Vec<Mask>,
}

#[derive(Debug, Clone, Copy)]
struct Mask {
    begin: usize,
    end: usize,
    /// Whether its beginning, and so its mask, has gone already.
    told: bool,
}

impl Stream {
    pub(super) fn of(redactor: Redactor) -> Self {
        Self { redactor, state: None, held: Vec::new(), masks: Vec::new() }
    }

    /// Takes the next bytes; answers what may go on.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let redactor = self.redactor.clone();
        let Some(matcher) = redactor.matcher() else { return bytes.to_vec() };
        let mut state = self.state.unwrap_or_else(|| matcher.start());
        for byte in bytes {
            state = self.step(matcher, state, *byte);
        }
        self.state = Some(state);
        let free = self.held.len().saturating_sub(matcher.held(state));
        self.release(free)
    }

    /// What was held back at the end.
    pub fn finish(&mut self) -> Vec<u8> {
        self.state = None;
        self.release(self.held.len())
    }

    /// Whether bytes pass as they are.
    pub(crate) fn is_idle(&self) -> bool {
        self.redactor.matcher().is_none()
    }

    fn step(&mut self, matcher: &Matcher, state: StateID, byte: u8) -> StateID {
        self.held.push(byte);
        let state = matcher.next(state, byte);
        let found = matcher.found(state);
        if found > 0 {
            let end = self.held.len();
            self.mask(Mask { begin: end.saturating_sub(found), end, told: false });
        }
        state
    }

    fn mask(&mut self, mut mask: Mask) {
        while let Some(last) = self.masks.pop_if(|last| mask.begin < last.end) {
            mask.begin = mask.begin.min(last.begin);
            mask.told |= last.told;
        }
        self.masks.push(mask);
    }

    /// Lets the first `free` bytes go.
    fn release(&mut self, free: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(free);
        let mut at = 0;
        let mut left = Vec::new();
        for mask in std::mem::take(&mut self.masks) {
            if mask.begin >= free && !(mask.begin == 0 && mask.told) {
                left.push(Mask { begin: mask.begin - free, end: mask.end - free, ..mask });
                continue;
            }
            out.extend_from_slice(self.held.get(at..mask.begin).unwrap_or_default());
            if !mask.told {
                out.extend_from_slice(MASK.as_bytes());
            }
            at = mask.end.min(free);
            if mask.end > free {
                left.push(Mask { begin: 0, end: mask.end - free, told: true });
            }
        }
        out.extend_from_slice(self.held.get(at..free).unwrap_or_default());
        self.held.drain(..free);
        self.masks = left;
        out
    }
}
