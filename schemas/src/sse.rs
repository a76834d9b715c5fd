//! Server-sent events, read from bytes as they come: the part of the HTML standard's §9.2 that
//! servers write. The client of the API reads it, and so does the pool that calls models.

/// The largest event, and the largest line.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// `id:`, where this event has one.
    pub id: Option<String>,
    /// `event:`; empty where there is none.
    pub event: String,
    /// `data:`, several lines joined.
    pub data: String,
}

/// What has been read of an event. Feed it; take what is whole.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    message: Message,
    seen: bool,
    after_cr: bool,
}

/// An event larger than [`EVENT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oversized;

impl Parser {
    /// Takes bytes, cut anywhere, and gives the events that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Message>, Oversized> {
        let mut whole = Vec::new();
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => whole.extend(self.end_line()),
                _ if self.line.len() + self.message.data.len() >= EVENT_BYTES_MAX => {
                    return Err(Oversized);
                }
                _ => self.line.push(*byte),
            }
        }
        Ok(whole)
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return std::mem::take(&mut self.seen).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "data" => {
                if self.seen {
                    self.message.data.push('\n');
                }
                self.seen = true;
                self.message.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.message.event),
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, step: usize) -> Vec<Message> {
        let mut parser = Parser::default();
        text.as_bytes().chunks(step).flat_map(|chunk| parser.feed(chunk).unwrap()).collect()
    }

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let text = ": hello\nid: 7\nevent: step\ndata: {\"a\":\ndata: 1}\n\n:\n\r\ndata: x\r\n\r\n";
        let expected = vec![
            Message { id: Some("7".into()), event: "step".into(), data: "{\"a\":\n1}".into() },
            Message { id: None, event: String::new(), data: "x".into() },
        ];
        for step in 1..text.len() {
            assert_eq!(read(text, step), expected, "cut every {step} bytes");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&vec![b'x'; EVENT_BYTES_MAX + 1]), Err(Oversized));
    }

    #[test]
    fn garbage_is_passed_over() {
        assert_eq!(read("\u{fffd}\n\nfoo: bar\n\nid\n\n", 3), vec![]);
    }
}
