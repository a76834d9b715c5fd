//! One pass over a part of a text: finds words, and asks of each what it may begin.

use memchr::memmem;

use super::export::{Export, Terms};
use super::secret::Secrets;
use super::table::Columns;
use super::view::{View, is_quoted_printable, view};
use super::{Evidence, HITS_MAX, Hit, Tag, address, assignment, base64, mail, number, zone};

/// Encoded texts within encoded texts.
const DEPTH_MAX: usize = 1;

/// Something found, in bytes of what was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub tag: Tag,
    pub kind: &'static str,
    pub start: usize,
    pub end: usize,
    pub evidence: Evidence,
}

/// Finds everything in a part. There may be the same thing twice.
pub(super) fn part(text: &str, terms: &Terms) -> Vec<Hit> {
    at_depth(text, terms, 0)
}

fn at_depth(text: &str, terms: &Terms, depth: usize) -> Vec<Hit> {
    let mut hits = through(&view(text, false), terms);
    if is_quoted_printable(text) {
        hits.extend(through(&view(text, true), terms));
    }
    if depth < DEPTH_MAX {
        for (range, decoded) in base64::texts(text.as_bytes()) {
            let inner = at_depth(&decoded, terms, depth + 1);
            hits.extend(inner.into_iter().map(|hit| Hit {
                start: range.start,
                end: range.end,
                ..hit
            }));
        }
    }
    hits
}

fn through(view: &View<'_>, terms: &Terms) -> Vec<Hit> {
    let mut pass = Pass {
        bytes: &view.bytes,
        found: Vec::new(),
        columns: Columns::default(),
        export: Export::new(terms),
    };
    pass.run();
    let hits = pass.found.into_iter().map(|found| Hit {
        tag: found.tag,
        kind: found.kind,
        start: view.origin(found.start),
        end: view.origin(found.end),
        evidence: found.evidence,
    });
    hits.collect()
}

struct Pass<'a> {
    bytes: &'a [u8],
    found: Vec<Found>,
    columns: Columns,
    export: Export<'a>,
}

impl Pass<'_> {
    fn run(&mut self) {
        let secrets = Secrets::all();
        let mut at = 0;
        while let Some(&byte) = self.bytes.get(at) {
            if self.found.len() > HITS_MAX {
                break;
            }
            if byte.is_ascii_alphanumeric() {
                let end = self.word_end(at);
                self.word(at, end, secrets);
                at = end;
            } else {
                self.sign(at, byte);
                at += 1;
            }
        }
        let private_keys = memmem::find_iter(self.bytes, b"PRIVATE KEY");
        self.found.extend(private_keys.filter_map(|at| super::secret::pem(self.bytes, at)));
        self.found.extend(self.export.found());
    }

    fn word_end(&self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()
    }

    fn word(&mut self, start: usize, end: usize, secrets: &Secrets) {
        let word = self.bytes.get(start..end).unwrap_or_default();
        let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
        self.found.extend(secrets.at(self.bytes, start));
        if digits > 0 || word.len() <= number::PREFIX_MAX {
            number::at(self.bytes, start, &mut self.columns, &mut self.found);
            self.found.extend(address::ip(self.bytes, start, end));
        }
        if digits > 0 {
            let prefix = word.len() - digits;
            let split =
                prefix > 1 && digits > 6 && word.iter().skip(prefix).all(u8::is_ascii_digit);
            if split {
                number::at(self.bytes, start + prefix, &mut self.columns, &mut self.found);
            }
            self.found.extend(zone::at(self.bytes, start, end));
            self.found.extend(assignment::beside(self.bytes, start, &mut self.columns));
        } else {
            self.found.extend(assignment::at(self.bytes, start, end));
        }
        self.export.word(self.bytes, start, end);
    }

    fn sign(&mut self, at: usize, sign: u8) {
        match sign {
            b'@' => self.found.extend(mail::at(self.bytes, at)),
            b'+' => self.found.extend(address::phone(self.bytes, at)),
            b':' => self.found.extend(assignment::connection(self.bytes, at)),
            _ => {}
        }
    }
}
