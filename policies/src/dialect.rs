//! Which Rego a file is written in: v1, or v0 where its first line says so.
//!
//! The first line of a file of older Rego is `# rego: v0`. A file that is v0 and does not say so is
//! refused: what is v0 and v1 at once can mean two things.

use std::panic::{AssertUnwindSafe, catch_unwind};

use regorus::Engine;

use crate::fault::{self, Fault};

/// The first line of a file of Rego v0.
pub const V0_MARK: &str = "# rego: v0";

/// Square and curly brackets stand no deeper in each other: the parser's time doubles with each.
pub const NESTING_MAX: usize = 12;

/// Whether a text says that it is v0.
pub fn is_v0(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.trim_end() == V0_MARK)
}

/// Adds a file to the engine as what it says it is.
pub(crate) fn add(engine: &mut Engine, name: &str, text: &str) -> Result<(), Fault> {
    if let Some(place) = too_deep(text) {
        let fault = Fault::at(fault::SYNTAX, name, place, "brackets stand too deep in each other");
        return Err(fault.found_in(text).expected(format!("at most {NESTING_MAX} in each other")));
    }
    let v0 = is_v0(text);
    let Err(error) = add_as(engine, name, text, v0) else { return Ok(()) };
    let fault = fault::from_interpreter(fault::SYNTAX, name, &error).found_in(text);
    if v0 || add_as(&mut Engine::new(), name, text, true).is_err() {
        return Err(worded(fault, v0));
    }
    let hint = match v1_form(text, fault.line) {
        Some(v1) => format!("write `{v1}`, or let the file's first line be `{V0_MARK}`"),
        None => format!("write it as v1, or let the file's first line be `{V0_MARK}`"),
    };
    Err(Fault {
        code: fault::UNMARKED,
        what: "this is Rego v0, and the file does not say so".to_owned(),
        ..fault.expected("Rego v1").hint(hint)
    })
}

fn add_as(engine: &mut Engine, name: &str, text: &str, v0: bool) -> Result<(), String> {
    engine.set_rego_v0(v0);
    // The parser is not ours, and a text that breaks it must break no more than itself.
    let added =
        catch_unwind(AssertUnwindSafe(|| engine.add_policy(name.to_owned(), text.to_owned())));
    match added {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("error: the parser fails at this text".to_owned()),
    }
}

/// The place of the first bracket that stands too deep; those in texts and comments do not count.
fn too_deep(text: &str) -> Option<(u32, u32)> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (row, line) in (1..).zip(text.lines()) {
        let mut letters = (1..).zip(line.chars());
        while let Some((column, letter)) = letters.next() {
            match (quote, letter) {
                (Some('"'), '\\') => _ = letters.next(),
                (Some(open), letter) if open == letter => quote = None,
                (Some(_), _) => {}
                (None, '#') => break,
                (None, '"' | '`') => quote = Some(letter),
                (None, '[' | '{') if depth == NESTING_MAX => return Some((row, column)),
                (None, '[' | '{') => depth += 1,
                (None, ']' | '}') => depth = depth.saturating_sub(1),
                (None, _) => {}
            }
        }
        // A text in double quotes ends on its line, or the parser refuses it.
        quote = quote.filter(|open| *open == '`');
    }
    None
}

/// Takes what was expected out of the parser's sentence, where it says so.
fn worded(mut fault: Fault, v0: bool) -> Fault {
    if let Some(expected) = fault.what.strip_prefix("expecting ").map(str::to_owned) {
        fault.what = "this is no Rego".to_owned();
        fault.expected = Some(expected.into());
    } else if fault.what.contains("keyword is required") {
        fault.expected = Some("`if` before the body".into());
    }
    let version = if v0 { "v0, as its first line says" } else { "v1" };
    fault.hint(format!("the file is read as Rego {version}"))
}

/// The head of the rule on a line, in v1: `violation[reason] {` is `violation contains reason if {`.
fn v1_form(text: &str, line: u32) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)? as usize)?;
    let head = line.split_once('{')?.0.trim();
    if head.is_empty() {
        return None;
    }
    let set = head
        .strip_suffix(']')
        .and_then(|head| head.split_once('['))
        .filter(|(name, key)| !name.contains(['=', '(']) && !key.contains(['[', ']']));
    Some(match set {
        Some((name, key)) => format!("{name} contains {key} if {{"),
        None => format!("{head} if {{"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Fault {
        add(&mut Engine::new(), "a.rego", text).unwrap_err()
    }

    #[test]
    fn unmarked_v0_is_refused_with_its_place_and_its_form_in_v1() {
        let fault = refused("package a\n\nallow {\n  input.x\n}\n");
        assert_eq!((fault.code, fault.line, fault.column), (fault::UNMARKED, 3, 7));
        assert!(fault.hint.unwrap().starts_with("write `allow if {`, or let"));
        let fault = refused("package a\nviolation[reason] {\n  reason := 1\n}\n");
        assert!(fault.hint.unwrap().starts_with("write `violation contains reason if {`"));
    }

    #[test]
    fn a_mark_makes_v0_and_v1_lie_side_by_side() {
        let mut engine = Engine::new();
        add(&mut engine, "a.rego", "# rego: v0\npackage a\nallow { true }\n").unwrap();
        add(&mut engine, "b.rego", "package b\nallow if { data.a.allow }\n").unwrap();
        assert_eq!(engine.eval_rule("data.b.allow".to_owned()).unwrap(), true.into());
        let fault = refused("\n# rego: v0\npackage a\nallow { true }\n");
        assert_eq!(fault.code, fault::UNMARKED, "the mark counts on the first line only");
    }

    #[test]
    fn what_is_neither_is_told_with_what_was_found_and_expected() {
        let fault = refused("package a\nallow if {\n  1 +\n}\n");
        assert_eq!((fault.code, fault.line, fault.column), (fault::SYNTAX, 4, 1));
        assert_eq!(fault.found.as_deref(), Some("}"));
        assert_eq!(fault.expected.as_deref(), Some("expression"));
    }

    #[test]
    fn brackets_are_counted_where_they_are_brackets() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(too_deep(&nested(NESTING_MAX)), None);
        assert_eq!(too_deep(&format!("\n{}", nested(NESTING_MAX + 1))), Some((2, 13)));
        let text = format!(
            "x := \"\\\"{}\" # {}\ny := `\n{}`\n",
            "[".repeat(20),
            "{".repeat(20),
            "[".repeat(20)
        );
        assert_eq!(too_deep(&text), None);
        assert_eq!(too_deep(&"[]{}".repeat(100)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(package a\n)?[a-z_ \\[\\]{}():=\"%.0-9\n]{0,80}") {
            let _ = add(&mut Engine::new(), "a.rego", &text);
        }
    }
}
