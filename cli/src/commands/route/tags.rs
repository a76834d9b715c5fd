//! `maestro route tags`: what of texts must not go to every provider. The values that are found are
//! never printed, only their form.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use maestro_router::tags::{Hit, Settings, TEXT_BYTES_MAX, Tag, tags};
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::table::Table;
use crate::view::words::count;

/// A directory is searched to this number of files.
const FILES_MAX: usize = 200_000;
/// Hits that are printed, and characters of each.
const SHOWN_MAX: usize = 1_000;
const FORM_MAX: usize = 40;
const STDIN: &str = "-";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tags are pii, secret, export_ctrl, and unscanned where a limit left a part out. What is found is shown
by its place and its form, never by its value. docs/content-tags.md says what is found and what is not.

Examples:
  maestro route tags prompt.txt
  maestro route tags - --json < prompt.txt
  maestro route tags src --term 'project nightjar'")]
pub struct Args {
    /// Files, directories, or - for standard input.
    #[arg(value_name = "FILE", default_value = STDIN)]
    files: Vec<PathBuf>,
    /// A term that makes a text export_ctrl; may be given several times.
    #[arg(long, value_name = "TERM")]
    term: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    texts: usize,
    bytes: usize,
    /// Files that are no text, or longer than is scanned.
    passed_over: Vec<String>,
    tags: BTreeSet<Tag>,
    hits_found: usize,
    hits_per_mb: f64,
    /// The first of them.
    hits: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: usize,
    #[serde(flatten)]
    hit: Hit,
    /// The value with digits as 0 and letters as x.
    form: String,
}

pub(super) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let settings = Settings { export_terms: args.term.clone() };
    let mut report = Report::default();
    for path in &args.files {
        if path == Path::new(STDIN) {
            let bytes = read(std::io::stdin()).map_err(Error::file("read", path))?;
            report.add(path, bytes, &settings);
        } else {
            for file in files(path)? {
                let bytes = std::fs::File::open(&file).and_then(read);
                let bytes = bytes.map_err(Error::file("read", &file))?;
                report.add(&file, bytes, &settings);
            }
        }
    }
    report.hits_per_mb = report.hits_found as f64 / (report.bytes.max(1) as f64 / 1e6);
    output.show(&report, || report.text())?;
    Ok(Exit::Ok)
}

/// One byte more than is scanned, so that a longer text is known to be one.
fn read(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file, or all files below a directory in the order of their names; links are not followed.
fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::NotFound { what: path.display().to_string(), hint: None }
        }
        _ => Error::File { action: "read", path: path.to_owned(), source: error },
    })?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut found, mut open) = (Vec::new(), vec![path.to_owned()]);
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
        for entry in entries {
            let entry = entry.map_err(Error::file("read", &directory))?;
            let kind = entry.file_type().map_err(Error::file("read", &directory))?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
        if found.len() + open.len() > FILES_MAX {
            return Err(Error::usage(
                format!("{} has more than {FILES_MAX} files", path.display()),
                "name some of its directories",
            ));
        }
    }
    found.sort();
    Ok(found)
}

impl Report {
    fn add(&mut self, path: &Path, bytes: Vec<u8>, settings: &Settings) {
        let name = path.display().to_string();
        let text = match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') && text.len() <= TEXT_BYTES_MAX => text,
            _ => {
                self.tags.insert(Tag::Unscanned);
                return self.passed_over.push(name);
            }
        };
        let found = tags(&text, settings);
        self.texts += 1;
        self.bytes += text.len();
        self.tags.extend(&found.tags);
        self.hits_found += found.hits.len();
        let room = SHOWN_MAX.saturating_sub(self.hits.len());
        self.hits.extend(found.hits.into_iter().take(room).map(|hit| Place {
            file: name.clone(),
            line: line(&text, hit.start),
            form: form(text.get(hit.start..hit.end).unwrap_or_default()),
            hit,
        }));
    }

    fn text(&self) -> String {
        let mut table = Table::new(&["place", "tag", "kind", "believed by", "form"]);
        for place in &self.hits {
            table.row([
                format!("{}:{}", place.file, place.line),
                tag_name(place.hit.tag).to_owned(),
                place.hit.kind.to_owned(),
                reasons(&place.hit),
                place.form.clone(),
            ]);
        }
        let names: Vec<&str> = self.tags.iter().map(|tag| tag_name(*tag)).collect();
        [
            table.render("nothing found"),
            String::new(),
            format!(
                "{} in {}, {:.1} MB: {:.2} per MB; {} passed over",
                count(self.hits_found as u64, "hit"),
                count(self.texts as u64, "text"),
                self.bytes as f64 / 1e6,
                self.hits_per_mb,
                count(self.passed_over.len() as u64, "file"),
            ),
            format!(
                "tags: {}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ),
        ]
        .join("\n")
    }
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// What it looks like, without what it is.
fn form(value: &str) -> String {
    let masked = value.chars().map(|sign| match sign {
        _ if sign.is_numeric() => '0',
        _ if sign.is_alphabetic() => 'x',
        _ if sign.is_control() => ' ',
        _ => sign,
    });
    let mut text: String = masked.take(FORM_MAX).collect();
    if value.chars().count() > FORM_MAX {
        text.push('…');
    }
    text
}

fn tag_name(tag: Tag) -> &'static str {
    match tag {
        Tag::Pii => "pii",
        Tag::Secret => "secret",
        Tag::ExportCtrl => "export_ctrl",
        Tag::Unscanned => "unscanned",
    }
}

fn reasons(hit: &Hit) -> String {
    let of = |holds: bool, name: &'static str| holds.then_some(name);
    let evidence = hit.evidence;
    [of(evidence.check, "check"), of(evidence.format, "format"), of(evidence.context, "context")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_and_no_digit_of_a_value_is_shown() {
        assert_eq!(form("GB82 WEST-1234é"), "xx00 xxxx-0000x");
        assert_eq!(form(&"7".repeat(50)).chars().count(), FORM_MAX + 1);
    }

    #[test]
    fn a_report_names_places_and_not_values() {
        let mut report = Report::default();
        let text = "first\ncard: 4111 1111 1111 1111\n";
        report.add(Path::new("a.txt"), text.into(), &Settings::default());
        report.add(Path::new("b.bin"), vec![0, 1, 0xff], &Settings::default());
        let json = serde_json::to_string(&report).unwrap();
        assert!(report.text().contains("a.txt:2") && json.contains("\"card\""));
        assert!(!report.text().contains("4111") && !json.contains("4111"));
        assert_eq!(report.passed_over, ["b.bin"]);
    }
}
