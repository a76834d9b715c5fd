//! Every error code that the program can show has a page with its remedy, and every page a code.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::source::Source;

const PREFIX: &str = "MAE-";
const PAGES: &str = "docs/errors/";

/// Finds codes without a page and pages without a code.
pub fn check(files: &[String], sources: &[Source], findings: &mut Vec<Finding>) {
    let pages: BTreeSet<&str> = files.iter().filter_map(|path| page_code(path)).collect();
    let mut used = BTreeMap::new();
    for source in sources {
        for literal in source.literals.iter().filter(|literal| !source.in_test(literal.offset)) {
            for code in codes(&literal.text) {
                used.entry(code.to_owned()).or_insert_with(|| source.place(literal.offset));
            }
        }
    }
    for (code, place) in used.iter().filter(|(code, _)| !pages.contains(code.as_str())) {
        findings.push(Finding::new(place, format!("{code} has no page {PAGES}{code}.md")));
    }
    for code in pages.iter().filter(|code| !used.contains_key(**code)) {
        findings.push(Finding::new(format!("{PAGES}{code}.md"), "no code of this name is in use"));
    }
}

fn page_code(path: &str) -> Option<&str> {
    let code = path.strip_prefix(PAGES)?.strip_suffix(".md")?;
    code.starts_with(PREFIX).then_some(code)
}

/// The codes that a text holds: the prefix and four digits.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(move |(offset, _)| {
        let code = text.get(offset..offset + PREFIX.len() + 4)?;
        code.get(PREFIX.len()..)?.bytes().all(|byte| byte.is_ascii_digit()).then_some(code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_wherever_they_stand_in_a_text() {
        let found: Vec<_> = codes("MAE-1001, see MAE-2002; MAE-x, MAE-12").collect();
        assert_eq!(found, ["MAE-1001", "MAE-2002"]);
    }
}
