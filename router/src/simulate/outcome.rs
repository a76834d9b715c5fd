//! Outcomes: which questions two models answered correctly, as rows of a CSV file (RFC 4180, without
//! line breaks inside fields). Columns may stand in any order, and others are passed over.

/// A question and what became of it with either model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it is about.
    pub topic: String,
    /// The length of the prompt in characters.
    pub prompt_chars: u32,
    /// Whether the weak model was right.
    pub weak_correct: bool,
    /// Whether the strong model was right.
    pub strong_correct: bool,
}

impl Outcome {
    /// What is lost with the weak model: 1, 0, or -1 where it alone is right.
    pub fn loss(&self) -> f64 {
        f64::from(u8::from(self.strong_correct)) - f64::from(u8::from(self.weak_correct))
    }
}

/// A place of a file, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub what: String,
}

const COLUMNS: [&str; 4] = ["topic", "prompt_chars", "weak_correct", "strong_correct"];
/// So much of a wrong value is shown, in characters.
const SHOWN: usize = 40;

/// Reads a file's text.
pub fn read(text: &str) -> Result<Vec<Outcome>, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let (_, head) = lines.next().ok_or_else(|| at(1, 1, "the file is empty"))?;
    let head = fields(1, head)?;
    let mut places = [0; COLUMNS.len()];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let found = head.iter().position(|field| field.text.trim() == name);
        *place = found.ok_or_else(|| {
            at(1, 1, format!("there is no column {name}; expected {}", COLUMNS.join(",")))
        })?;
    }
    let mut outcomes = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        let fields = fields(line, text)?;
        if fields.len() != head.len() {
            let what = format!("found {} fields, expected {}", fields.len(), head.len());
            return Err(at(line, text.chars().count() + 1, what));
        }
        outcomes.push(outcome(line, &fields, places)?);
    }
    if outcomes.is_empty() {
        return Err(at(2, 1, "there is no row below the head"));
    }
    Ok(outcomes)
}

struct Field {
    column: usize,
    text: String,
}

fn at(line: usize, column: usize, what: impl Into<String>) -> Malformed {
    Malformed { line, column, what: what.into() }
}

fn outcome(line: usize, fields: &[Field], places: [usize; 4]) -> Result<Outcome, Malformed> {
    let [topic, chars, weak, strong] = places.map(|place| fields.get(place));
    let missing = || at(line, 1, "a field is missing");
    let topic = topic.ok_or_else(missing)?;
    if topic.text.trim().is_empty() {
        return Err(at(line, topic.column, "the topic is empty"));
    }
    let chars = chars.ok_or_else(missing)?;
    let prompt_chars =
        chars.text.trim().parse().map_err(|_| {
            wrong(line, chars, "prompt_chars", "a whole number from 0 to 4294967295")
        })?;
    let bit = |field: Option<&Field>, name| {
        let field = field.ok_or_else(missing)?;
        match field.text.trim() {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(wrong(line, field, name, "0 or 1")),
        }
    };
    Ok(Outcome {
        topic: topic.text.trim().to_owned(),
        prompt_chars,
        weak_correct: bit(weak, "weak_correct")?,
        strong_correct: bit(strong, "strong_correct")?,
    })
}

fn wrong(line: usize, field: &Field, name: &str, expected: &str) -> Malformed {
    let found: String = field.text.chars().take(SHOWN).collect();
    at(line, field.column, format!("{name} is {found:?}, expected {expected}"))
}

/// The fields of a line; a quoted one may hold commas, and doubled quotes.
fn fields(line: usize, text: &str) -> Result<Vec<Field>, Malformed> {
    let mut fields = Vec::new();
    let mut field = Field { column: 1, text: String::new() };
    let (mut quoted, mut opened) = (false, 1);
    let mut letters = text.chars().zip(1..).peekable();
    while let Some((letter, column)) = letters.next() {
        match letter {
            '"' if quoted && letters.peek().is_some_and(|(next, _)| *next == '"') => {
                field.text.push('"');
                letters.next();
            }
            '"' if quoted => quoted = false,
            '"' if field.text.is_empty() => (quoted, opened) = (true, column),
            ',' if !quoted => {
                fields.push(std::mem::replace(
                    &mut field,
                    Field { column: column + 1, text: String::new() },
                ));
            }
            _ => field.text.push(letter),
        }
    }
    if quoted {
        return Err(at(line, opened, "the quote that opens here does not close on this line"));
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "topic,prompt_chars,weak_correct,strong_correct\n";

    fn refused(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn rows_are_read_whatever_the_order_of_the_columns_and_the_ends_of_lines() {
        let plain = read(&format!("{HEAD}law,10,0,1\n")).unwrap();
        assert_eq!(plain.first().map(Outcome::loss), Some(1.0));
        let other =
            "\u{feff}id,strong_correct,weak_correct,prompt_chars,topic\r\n7,1,0,10,law\r\n\r\n";
        assert_eq!(read(other).unwrap(), plain);
        let quoted = read(&format!("{HEAD}\"a, \"\"b\"\"\",10,0,1")).unwrap();
        assert_eq!(quoted.first().map(|row| row.topic.as_str()), Some("a, \"b\""));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_column() {
        assert_eq!(refused(""), "line 1, column 1: the file is empty");
        assert_eq!(refused(HEAD), "line 2, column 1: there is no row below the head");
        assert!(refused("topic,prompt_chars\n").contains("no column weak_correct"));
        assert_eq!(
            refused(&format!("{HEAD}law,10,0,1\nlaw,10,2,1\n")),
            "line 3, column 8: weak_correct is \"2\", expected 0 or 1"
        );
        assert!(
            refused(&format!("{HEAD}law,-1,0,1\n")).starts_with("line 2, column 5: prompt_chars")
        );
        assert!(refused(&format!("{HEAD}law,1,0\n")).contains("found 3 fields, expected 4"));
        assert!(refused(&format!("{HEAD},1,0,1\n")).contains("the topic is empty"));
        assert!(
            refused(&format!("{HEAD}\"law,1,0,1\n")).starts_with("line 2, column 1: the quote")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9,\"\r\n]{0,60}", headed: bool) {
            let _ = read(&if headed { format!("{HEAD}{text}") } else { text });
        }
    }
}
