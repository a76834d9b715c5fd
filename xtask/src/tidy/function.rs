//! The functions of a Rust file: how long they are and how much they take.

use super::source::closing;

/// A function with a body.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The byte that its `fn` stands at.
    pub offset: usize,
    /// From `fn` to the closing bracket.
    pub lines: usize,
    /// How many it takes, `self` included.
    pub parameters: usize,
    /// Whether `async` stands before it.
    pub is_async: bool,
}

/// All functions of some code whose comments and literals are blanked, closures apart.
pub fn functions(code: &str) -> Vec<Function> {
    code.match_indices("fn ").filter_map(|(offset, _)| function(code, offset)).collect()
}

fn function(code: &str, offset: usize) -> Option<Function> {
    let before = code.get(..offset)?;
    if before.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
        return None;
    }
    let start = offset + "fn ".len();
    let name: String = code
        .get(start..)?
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    let open = parameter_list(code, start + name.len())?;
    let close = closing(code, open);
    let body = body(code, close)?;
    let text = code.get(offset..closing(code, body))?;
    Some(Function {
        offset,
        lines: text.lines().count(),
        parameters: count(code.get(open + 1..close.saturating_sub(1))?),
        is_async: before.trim_end().ends_with("async"),
        name: (!name.is_empty()).then_some(name)?,
    })
}

/// Where the parameter list opens, behind the generics if there are any.
fn parameter_list(code: &str, from: usize) -> Option<usize> {
    let mut angles = 0_i32;
    let mut former = b' ';
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'<' => angles += 1,
            b'>' if former != b'-' => angles -= 1,
            b'(' if angles == 0 => return Some(offset),
            b'{' | b'}' | b';' if angles == 0 => return None,
            _ => {}
        }
        former = byte;
    }
    None
}

/// Where the body opens; a declaration has none.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// How many parameters a list holds.
fn count(list: &str) -> usize {
    let mut depth = 0_i32;
    let mut former = b' ';
    let mut found = 0;
    let mut pending = false;
    for byte in list.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'>' if former != b'-' => depth -= 1,
            b',' if depth == 0 => {
                found += usize::from(pending);
                pending = false;
                former = byte;
                continue;
            }
            _ => {}
        }
        pending |= !byte.is_ascii_whitespace();
        former = byte;
    }
    found + usize::from(pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_parameters_are_counted_as_a_reader_would() {
        let code = "pub async fn one<F: Fn(u8) -> u8>(&self, f: F, m: BTreeMap<A, (B, C)>,) -> [u8; 4] {\n    0\n}\ntrait T { fn two(a: u8); }\nfn three() {}\n";
        let found = functions(code);
        let seen: Vec<_> = found
            .iter()
            .map(|function| {
                (function.name.as_str(), function.lines, function.parameters, function.is_async)
            })
            .collect();
        assert_eq!(seen, [("one", 3, 3, true), ("three", 1, 0, false)]);
    }
}
