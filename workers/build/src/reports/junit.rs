//! JUnit XML as the tools of many languages write it: `testcase` anywhere below `testsuite`, with
//! `failure`, `error` or `skipped` inside.
//!
//! It is read as a stream, and hostile: entities but for XML's own five are an error and never
//! expanded, a document type is passed over, and depth and lengths have limits.

use std::io::BufRead;

use maestro_kit::redact::Redactor;
use maestro_schemas::tested::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, TestCase, TestOutcome};
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// The deepest nesting of elements.
const DEPTH_MAX: usize = 64;

/// The most of a message that is read, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The longest time of a case that is believed, in seconds.
const SECONDS_MAX: f64 = 30.0 * 24.0 * 3600.0;

/// Why a file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It is no XML.
    #[error("{source} at byte {at}")]
    Xml { at: u64, source: quick_xml::Error },
    /// It is nested too deeply.
    #[error("it is nested more than {DEPTH_MAX} deep, at byte {at}")]
    Deep { at: u64 },
    /// It ends within an element.
    #[error("it ends within an element")]
    Cut,
    /// It is XML, and of something else.
    #[error("its root is {0:?}; expected testsuites or testsuite")]
    Root(String),
}

/// Reads a report and hands over its cases one by one, without secrets.
pub(super) fn read(
    input: impl BufRead,
    redactor: &Redactor,
    take: &mut dyn FnMut(TestCase),
) -> Result<(), Fault> {
    let mut reader = Reader::from_reader(input);
    let mut state = State::without_secrets(redactor, take);
    let mut buffer = Vec::new();
    loop {
        let found = reader.read_event_into(&mut buffer);
        let at = reader.buffer_position();
        let fault = |source| Fault::Xml { at, source };
        match found.map_err(fault)? {
            Event::Start(tag) => state.begin(&tag, at)?,
            Event::Empty(tag) => {
                state.begin(&tag, at)?;
                state.end();
            }
            Event::End(_) => state.end(),
            Event::Text(text) => {
                let text = text.xml10_content().map_err(|error| fault(error.into()))?;
                state.text(&text);
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| fault(error.into()))?;
                state.text(&text);
            }
            Event::GeneralRef(name) => {
                let letter = resolve(&name).map_err(fault)?;
                state.text(&letter);
            }
            Event::Eof if state.open.is_empty() => return Ok(()),
            Event::Eof => return Err(Fault::Cut),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        buffer.clear();
    }
}

/// One of XML's own entities, or a letter by its number.
fn resolve(name: &BytesRef<'_>) -> Result<String, quick_xml::Error> {
    if let Some(letter) = name.resolve_char_ref()? {
        return Ok(letter.to_string());
    }
    let text = name.decode()?;
    resolve_predefined_entity(&text).map(str::to_owned).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        quick_xml::escape::EscapeError::UnrecognizedEntity(0..0, shown).into()
    })
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Suites,
    Suite,
    Case,
    /// `failure`, `error` or `skipped`: its text is the message.
    Verdict,
    Other,
}

struct State<'a> {
    redactor: &'a Redactor,
    open: Vec<Element>,
    suites: Vec<(String, Option<String>)>,
    case: Option<TestCase>,
    /// Whether the next text begins on a line of its own, behind what an attribute said.
    is_parted: bool,
    take: &'a mut dyn FnMut(TestCase),
}

impl<'a> State<'a> {
    fn without_secrets(redactor: &'a Redactor, take: &'a mut dyn FnMut(TestCase)) -> Self {
        let (open, suites) = (Vec::new(), Vec::new());
        Self { redactor, open, suites, case: None, is_parted: false, take }
    }

    fn begin(&mut self, tag: &BytesStart<'_>, at: u64) -> Result<(), Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault::Deep { at });
        }
        let name = tag.local_name();
        let element = match name.as_ref() {
            b"testsuites" => Element::Suites,
            b"testsuite" => Element::Suite,
            b"testcase" => Element::Case,
            b"failure" | b"error" | b"skipped" if self.open.last() == Some(&Element::Case) => {
                Element::Verdict
            }
            _ => Element::Other,
        };
        if self.open.is_empty() && !matches!(element, Element::Suites | Element::Suite) {
            let shown = String::from_utf8_lossy(name.as_ref()).chars().take(64).collect();
            return Err(Fault::Root(shown));
        }
        let said = Said::read(tag, self.redactor).map_err(|source| Fault::Xml { at, source })?;
        match element {
            Element::Suite => self.suites.push((said.name, said.file)),
            Element::Case => self.begin_case(said),
            Element::Verdict => self.judge(name.as_ref(), said),
            Element::Suites | Element::Other => {}
        }
        self.open.push(element);
        Ok(())
    }

    fn begin_case(&mut self, said: Said) {
        let (suite, file) = self.suites.last().cloned().unwrap_or_default();
        self.case = Some(TestCase {
            suite,
            class: said.class,
            name: said.name,
            file: said.file.or(file),
            outcome: TestOutcome::Passed,
            duration_us: said.duration_us,
            message: None,
        });
    }

    fn judge(&mut self, name: &[u8], said: Said) {
        let outcome = match name {
            b"failure" => TestOutcome::Failed,
            b"error" => TestOutcome::Error,
            _ => TestOutcome::Skipped,
        };
        if let Some(case) = self.case.as_mut().filter(|case| !case.outcome.is_bad()) {
            case.outcome = outcome;
            case.message = Some(said.message.unwrap_or_default());
        }
        let message = self.case.as_ref().and_then(|case| case.message.as_ref());
        self.is_parted = message.is_some_and(|message| !message.is_empty());
    }

    fn text(&mut self, text: &str) {
        let is_verdict = self.open.last() == Some(&Element::Verdict);
        let message = self.case.as_mut().and_then(|case| case.message.as_mut());
        if let Some(message) = message.filter(|_| is_verdict) {
            // One text may come in several pieces, and nothing is put between those.
            if std::mem::take(&mut self.is_parted) && !text.starts_with('\n') {
                message.push('\n');
            }
            message.push_str(text);
            // What is a secret is only seen in one piece, and so it is cut later.
            message.truncate(message.floor_char_boundary(TEXT_BYTES_MAX));
        }
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Element::Suite) => drop(self.suites.pop()),
            Some(Element::Case) => {
                if let Some(mut case) = self.case.take() {
                    let message = case.message.take().unwrap_or_default();
                    let message = cut_to(&self.redactor.text(message.trim()), MESSAGE_BYTES_MAX);
                    case.message = Some(message).filter(|message| !message.is_empty());
                    (self.take)(case);
                }
            }
            _ => {}
        }
    }
}

/// What the attributes of an element say.
#[derive(Debug, Default)]
struct Said {
    name: String,
    class: String,
    file: Option<String>,
    message: Option<String>,
    duration_us: Option<u64>,
}

impl Said {
    fn read(tag: &BytesStart<'_>, redactor: &Redactor) -> Result<Self, quick_xml::Error> {
        let mut said = Self::default();
        for attribute in tag.attributes() {
            let attribute = attribute?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
            let name = || cut_to(&redactor.text(&value), NAME_BYTES_MAX);
            match attribute.key.local_name().as_ref() {
                b"name" => said.name = name(),
                b"classname" => said.class = name(),
                b"file" | b"filepath" => said.file = Some(name()).filter(|file| !file.is_empty()),
                b"message" => said.message = Some(cut_to(&value, TEXT_BYTES_MAX)),
                b"time" => said.duration_us = micros(&value),
                _ => {}
            }
        }
        Ok(said)
    }
}

/// Seconds as a text to microseconds; some tools write a comma between thousands.
fn micros(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().replace(',', "").parse().ok()?;
    (0.0..=SECONDS_MAX).contains(&seconds).then_some((seconds * 1_000_000.0).round() as u64)
}

fn cut_to(text: &str, most: usize) -> String {
    let text = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    // No row holds it.
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;
