//! Names of prompts, and where their files lie.

/// Where a project's prompts lie: a prompt `NAME` is the file `prompts/NAME.md`.
pub const DIRECTORY: &str = "prompts";

/// The longest name of a prompt, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The path of a prompt's file; nothing where the name is none: words of lower-case letters,
/// digits, `_` and `-`, with `/` between directories.
pub fn path(name: &str) -> Option<String> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
            })
    };
    let is_name = name.len() <= NAME_BYTES_MAX && name.split('/').all(is_word);
    is_name.then(|| format!("{DIRECTORY}/{name}.md"))
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
}
