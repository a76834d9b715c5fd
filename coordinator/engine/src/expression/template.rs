//! Texts with `{{ … }}` in them, cut into what is literal and what is an expression.

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4096;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Stands for itself.
    Literal(String),
    /// What stood between `{{` and `}}`, trimmed.
    Expression(String),
}

/// Why a text cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A `{{` has no `}}`.
    #[error("a {{{{ is not closed by }}}}")]
    Open,
    /// Nothing stands between `{{` and `}}`.
    #[error("nothing stands between {{{{ and }}}}")]
    Empty,
    /// An expression is longer than [`EXPRESSION_BYTES_MAX`].
    #[error("an expression has {found} bytes; the most is {EXPRESSION_BYTES_MAX}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
}

/// Whether `text` may hold an expression.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Cuts `text`; a text without `{{` is one literal.
pub fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        if !before.is_empty() {
            found.push(Piece::Literal(before.into()));
        }
        let end = closing(behind).ok_or(Error::Open)?;
        let (inside, after) = behind.split_at(end);
        found.push(Piece::Expression(checked(inside.trim())?));
        rest = after.strip_prefix("}}").unwrap_or(after);
    }
    if !rest.is_empty() || found.is_empty() {
        found.push(Piece::Literal(rest.into()));
    }
    Ok(found)
}

fn checked(expression: &str) -> Result<String, Error> {
    match expression.len() {
        0 => Err(Error::Empty),
        found if found > EXPRESSION_BYTES_MAX => Err(Error::TooLong { found }),
        _ => Ok(expression.into()),
    }
}

/// Where the `}}` stands that closes an expression: outside quotes and outside braces of its own.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0usize;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => {
                characters.next();
            }
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') if text.get(at..).is_some_and(|rest| rest.starts_with("}}")) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

/// Writes a literal so that [`pieces`] reads it back as it was.
pub fn escape(literal: &str) -> String {
    literal.replace("{{", "{{ '{{' }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_quotes_inside_do_not_close() {
        assert_eq!(
            pieces("a {{ {'x': {'y': '}}'}} }} b").expect("pieces"),
            [
                Piece::Literal("a ".into()),
                Piece::Expression("{'x': {'y': '}}'}}".into()),
                Piece::Literal(" b".into()),
            ]
        );
    }

    #[test]
    fn an_open_and_an_empty_one_are_refused() {
        assert_eq!(pieces("{{ a }"), Err(Error::Open));
        assert_eq!(pieces("{{ }}"), Err(Error::Empty));
        assert!(matches!(
            pieces(&format!("{{{{ {} }}}}", "x".repeat(5000))),
            Err(Error::TooLong { .. })
        ));
    }

    #[test]
    fn what_is_escaped_holds_no_expression_of_its_author() {
        let escaped = escape("a {{ steps.x }}");
        assert_eq!(
            pieces(&escaped).expect("pieces"),
            [
                Piece::Literal("a ".into()),
                Piece::Expression("'{{'".into()),
                Piece::Literal(" steps.x }}".into()),
            ]
        );
    }
}
