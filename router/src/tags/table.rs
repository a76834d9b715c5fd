//! The head of the column that a place stands in: of delimited lines (CSV, TSV, Markdown), of HTML
//! tables, and of `insert into … values`.

/// A head is looked for so far above, in bytes.
const ABOVE_MAX: usize = 256 << 10;
/// Of a line with delimiters; in a longer one places are not looked for.
const LINE_MAX: usize = 4 << 10;
/// The same for HTML and SQL, which are searched anew for every place.
const MARKUP_MAX: usize = 8 << 10;
/// From a cell's tag to a place in it.
const CELL_LEAD_MAX: usize = 200;
/// A head's cell is no longer.
const CELL_MAX: usize = 80;
const DELIMITERS: [u8; 4] = [b'\t', b'|', b',', b';'];

/// Finds heads; what it knows of the last table's beginning makes a long table cost once.
#[derive(Default)]
pub(super) struct Columns {
    known: [Option<(usize, usize)>; DELIMITERS.len()],
}

impl Columns {
    /// The texts of the heads that a place may stand under, joined by a space.
    pub(super) fn head(&mut self, bytes: &[u8], at: usize) -> Vec<u8> {
        let mut heads = Vec::new();
        for (known, delimiter) in self.known.iter_mut().zip(DELIMITERS) {
            let cell = delimited(bytes, at, delimiter, known);
            heads.extend(cell.into_iter().flat_map(|cell| [b" ", cell].concat()));
        }
        for cell in [html(bytes, at), sql(bytes, at)].into_iter().flatten() {
            heads.extend([b" ", cell].concat());
        }
        heads
    }
}

fn line_start(bytes: &[u8], at: usize) -> Option<usize> {
    let floor = at.saturating_sub(LINE_MAX);
    let before = bytes.get(floor..at)?;
    let found = memchr::memrchr(b'\n', before).map(|found| floor + found + 1);
    found.or((floor == 0).then_some(0))
}

fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    let after = bytes.get(at..bytes.len().min(at + LINE_MAX))?;
    let found = memchr::memchr(b'\n', after).map(|found| at + found);
    found.or((at + after.len() == bytes.len()).then_some(bytes.len()))
}

/// How many delimiters stand in a line outside of double quotes.
fn count(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut found = 0;
    for byte in line {
        match byte {
            b'"' => quoted = !quoted,
            _ if *byte == delimiter && !quoted => found += 1,
            _ => {}
        }
    }
    found
}

fn delimited<'a>(
    bytes: &'a [u8],
    at: usize,
    delimiter: u8,
    known: &mut Option<(usize, usize)>,
) -> Option<&'a [u8]> {
    let start = line_start(bytes, at)?;
    let line = bytes.get(start..line_end(bytes, at)?)?;
    let fields = count(line, delimiter);
    if fields == 0 {
        return None;
    }
    let mut head = start;
    while head > 0 && start - head < ABOVE_MAX {
        if let Some((_, first)) = known.filter(|(line, _)| *line == head) {
            head = first;
            break;
        }
        let Some(above) = line_start(bytes, head - 1) else { break };
        if count(bytes.get(above..head - 1)?, delimiter) != fields {
            break;
        }
        head = above;
    }
    *known = Some((start, head));
    if head == start {
        return None;
    }
    let place = count(bytes.get(start..at)?, delimiter);
    cell(bytes.get(head..line_end(bytes, head)?)?, delimiter, place)
}

fn cell(line: &[u8], delimiter: u8, place: usize) -> Option<&[u8]> {
    let cell = line.split(|byte| *byte == delimiter).nth(place)?;
    (cell.len() <= CELL_MAX).then_some(cell)
}

fn last(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|part| part.eq_ignore_ascii_case(what))
}

fn times(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|part| part.eq_ignore_ascii_case(what)).count()
}

fn html(bytes: &[u8], at: usize) -> Option<&[u8]> {
    last(bytes.get(at.saturating_sub(CELL_LEAD_MAX)..at)?, b"<td")?;
    let before = bytes.get(at.saturating_sub(MARKUP_MAX)..at)?;
    let row = before.get(last(before, b"<tr")?..)?;
    let place = times(row, b"<td");
    let heads = before.get(..last(before, b"</th")?)?;
    let mut heads = heads.get(last(heads, b"<tr")?..)?;
    for _ in 0..place {
        let next = heads.windows(3).position(|part| part.eq_ignore_ascii_case(b"<th"))?;
        heads = heads.get(next + 3..)?;
    }
    let end = memchr::memchr(b'<', heads).unwrap_or(heads.len());
    (place > 0 && end <= CELL_MAX).then(|| heads.get(..end)).flatten()
}

fn sql(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let before = bytes.get(at.saturating_sub(MARKUP_MAX)..at)?;
    let lead = before.iter().rev().find(|byte| !b" '\"\n\tN".contains(byte))?;
    if !b",(".contains(lead) {
        return None;
    }
    let values = last(before, b"values")?;
    let (mut place, mut depth, mut quote) = (0, 0_i32, false);
    for byte in before.get(values..)? {
        match byte {
            b'\'' => quote = !quote,
            _ if quote => {}
            b'(' => {
                depth += 1;
                place = if depth == 1 { 0 } else { place };
            }
            b')' => depth -= 1,
            b',' if depth == 1 => place += 1,
            _ => {}
        }
    }
    let names = before.get(..values)?;
    let names = names.get(..memchr::memrchr(b')', names)?)?;
    let names = names.get(memchr::memrchr(b'(', names)? + 1..)?;
    if depth == 1 { cell(names, b',', place) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> String {
        let at = text.find('#').unwrap();
        String::from_utf8(Columns::default().head(text.as_bytes(), at)).unwrap()
    }

    #[test]
    fn the_columns_head_is_found_in_every_kind_of_table() {
        for text in [
            "name,ssn\nann,1\n\"b, c\",#\n",
            "name\tssn\nann\t#\n",
            "| name | ssn |\n|---|---|\n| ann | # |\n",
            "<table><tr><th>name</th><th>ssn</th></tr>\n<tr><td>ann</td><td>#</td></tr></table>",
            "INSERT INTO person (name, ssn) VALUES ('a, b', '1'), ('c', '#');",
        ] {
            assert!(head(text).contains("ssn"), "{text}: {}", head(text));
            assert!(!head(text).contains("name"), "{text}: {}", head(text));
        }
        assert_eq!(head("a line\nand # another\n"), "");
    }

    #[test]
    fn a_long_table_is_walked_once() {
        let rows = "ann,1\n".repeat(1000);
        let text = format!("name,ssn\n{rows}");
        let mut columns = Columns::default();
        for at in (0..1000).map(|row| 9 + row * 6 + 4) {
            assert_eq!(columns.head(text.as_bytes(), at), b" ssn");
        }
    }
}
