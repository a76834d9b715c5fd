//! Names of prompts and of their labels, and where their files lie.

/// Where a project's prompts lie: a prompt `NAME` is the file `prompts/NAME.md`.
pub const DIRECTORY: &str = "prompts";

/// The longest name of a prompt, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The path of a prompt's file; nothing where the name is none: words of lower-case letters,
/// digits, `_` and `-`, with `/` between directories.
pub fn path(name: &str) -> Option<String> {
    let is_name = name.len() <= NAME_BYTES_MAX && name.split('/').all(is_word);
    is_name.then(|| format!("{DIRECTORY}/{name}.md"))
}

/// The most labels of a version.
pub const LABELS_MAX: usize = 32;

/// The longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 63;

/// Whether a text can be a label, as `approved`: a word of lower-case letters, digits, `_` and `-`.
pub fn is_label(label: &str) -> bool {
    label.len() <= LABEL_BYTES_MAX && is_word(label)
}

fn is_word(word: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !word.is_empty() && word.bytes().all(|byte| fits(byte) || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_words_and_never_leads_out_of_the_directory() {
        assert_eq!(path("code_review").as_deref(), Some("prompts/code_review.md"));
        assert_eq!(path("team/code-review").as_deref(), Some("prompts/team/code-review.md"));
        for name in ["", "../x", "/x", "a//b", "A", "a b", "x.md"] {
            assert_eq!(path(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_label_is_one_word() {
        assert!(is_label("approved") && is_label("eu_only-2"));
        for label in ["", "a/b", "Approved", "a b", &"a".repeat(LABEL_BYTES_MAX + 1)] {
            assert!(!is_label(label), "{label:?}");
        }
    }
}
