//! A prompt's text: what it says of itself in a head of TOML between two lines `+++`, and a body.
//!
//! ```text
//! +++
//! description = "Reviews files for faults."
//! system = "You review code."
//!
//! [variables.paths]
//! type = "list"
//! default = ["src/server.ts"]
//! +++
//! {% for path in paths %}{{ file(path) }}{% endfor %}
//! ```
//!
//! The head may be left out: then the whole text is the body, and it has no variables.

use std::collections::BTreeMap;

use maestro_schemas::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::variable::Variable;

/// The most bytes of a prompt.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// The most variables of a prompt.
pub const VARIABLES_MAX: usize = 100;

const FENCE: &str = "+++";

/// A prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The SHA-256 of its whole text: its version.
    pub digest: Digest,
    /// What it says of itself.
    pub head: Head,
    /// The template of the user's message.
    pub body: String,
    /// The line that the body begins at, from 1; for what is said about it.
    pub body_line: usize,
}

/// What a prompt says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// The template of the system's message; none where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The variables that both templates may use, and no others.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
}

/// What is wrong with a prompt, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("line {line}: {message}")]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What was found, and what was expected.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl Prompt {
    /// Reads a prompt's text.
    ///
    /// # Errors
    /// The first fault: too long, a head that is not closed or is no TOML of this form, a template
    /// that cannot be parsed, or one that uses a variable that the head does not name.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("{} bytes; a prompt has at most {TEXT_BYTES_MAX}", text.len());
            return Err(Fault::new(1, message));
        }
        let (head, body, body_line) = split(text)?;
        let head = read_head(head)?;
        let prompt =
            Self { digest: Digest::of(text.as_bytes()), head, body: body.to_owned(), body_line };
        crate::render::check(&prompt)?;
        Ok(prompt)
    }
}

/// The head, the body, and the line that the body begins at.
fn split(text: &str) -> Result<(&str, &str, usize), Fault> {
    let Some(rest) = text
        .strip_prefix(FENCE)
        .and_then(|rest| rest.trim_start_matches([' ', '\r']).strip_prefix('\n'))
    else {
        return Ok(("", text, 1));
    };
    let mut at = 0;
    for (index, line) in rest.split_inclusive('\n').enumerate() {
        if line.trim_end() == FENCE {
            let head = rest.get(..at).unwrap_or_default();
            let body = rest.get(at + line.len()..).unwrap_or_default();
            return Ok((head, body, index + 3));
        }
        at += line.len();
    }
    Err(Fault::new(
        1,
        format!("the head begins with {FENCE} and is not closed by a second line {FENCE}"),
    ))
}

fn read_head(text: &str) -> Result<Head, Fault> {
    let head: Head = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        // The head's first line is the text's second.
        Fault::new(before.matches('\n').count() + 2, error.message().to_owned())
    })?;
    if head.variables.len() > VARIABLES_MAX {
        return Err(Fault::new(1, format!("more than {VARIABLES_MAX} variables")));
    }
    for (name, variable) in &head.variables {
        variable.check(name).map_err(|message| Fault::new(1, message))?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Prompt::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_text_without_a_head_is_all_body() {
        let prompt = Prompt::parse("Say hello.\n").unwrap();
        assert_eq!((prompt.body.as_str(), prompt.body_line), ("Say hello.\n", 1));
        assert_eq!(prompt.digest, Digest::of(b"Say hello.\n"));
    }

    #[test]
    fn a_head_names_its_variables_and_the_body_begins_behind_it() {
        let text = "+++\nsystem = \"Be brief.\"\n[variables.name]\ntype = \"text\"\n+++\nHello {{ name }}\n";
        let prompt = Prompt::parse(text).unwrap();
        assert_eq!(prompt.head.system.as_deref(), Some("Be brief."));
        assert_eq!((prompt.body.as_str(), prompt.body_line), ("Hello {{ name }}\n", 6));
    }

    #[test]
    fn a_fault_says_its_line() {
        assert!(
            fault("+++\nsystem = \n+++\n").starts_with("line 2:"),
            "{}",
            fault("+++\nsystem = \n+++\n")
        );
        assert!(fault("+++\nsytem = \"x\"\n+++\n").contains("unknown field"));
        assert!(fault("+++\nsystem = \"x\"\n").contains("not closed"));
        assert!(fault("one\n{{ two").starts_with("line 2:"), "{}", fault("one\n{{ two"));
        let unknown = fault("+++\n[variables.name]\ntype = \"text\"\n+++\nHello\n{{ nmae }}\n");
        assert!(
            unknown.starts_with("line 6:") && unknown.contains("did you mean \"name\"?"),
            "{unknown}"
        );
    }
}
