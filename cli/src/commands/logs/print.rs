//! Outputs that have ended, or one that is followed, on standard output.

use serde_json::json;

use super::pick::Named;
use crate::client::Client;
use crate::client::logs::LogStream;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;

/// A line longer than this is cut into several.
const LINE_BYTES_MAX: usize = 64 << 10;

/// One output as it is; as JSON lines where that is asked for.
pub async fn whole(mut stream: LogStream, output: Output) -> Result<(), Error> {
    let mut lines = Lines::default();
    while let Some(bytes) = stream.next().await? {
        if output.is_json() {
            for line in lines.feed(&bytes) {
                output.json_line(&json!({ "line": line }))?;
            }
        } else {
            output.bytes(&bytes)?;
        }
    }
    if let Some(line) = lines.end() {
        output.json_line(&json!({ "line": line }))?;
    }
    Ok(())
}

/// Several outputs one after the other, each line behind its step's id.
pub async fn many(client: &Client, all: Vec<Named>, output: Output) -> Result<(), Error> {
    let mut printed = 0;
    for named in &all {
        match client.log(named.of, false).await {
            Ok(stream) => {
                prefixed(stream, &named.id, output).await?;
                printed += 1;
            }
            // One that wrote nothing, or whose output is no longer kept, must not hide the others.
            Err(error) if error.exit() == Exit::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if printed == 0 {
        output.talk("no step has written anything");
    }
    Ok(())
}

/// One output, each line behind the step's id.
pub async fn prefixed(mut stream: LogStream, id: &str, output: Output) -> Result<(), Error> {
    let mut lines = Lines::default();
    while let Some(bytes) = stream.next().await? {
        for line in lines.feed(&bytes) {
            say(id, &line, output)?;
        }
    }
    if let Some(line) = lines.end() {
        say(id, &line, output)?;
    }
    Ok(())
}

fn say(id: &str, line: &str, output: Output) -> Result<(), Error> {
    if output.is_json() {
        output.json_line(&json!({ "step": id, "line": line }))
    } else {
        output.data(&format!("{} {line}", output.paint().dim(&format!("[{}]", clean(id)))))
    }
}

/// Bytes, cut anywhere, made whole lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.ends_with(b"\n") || self.rest.len() >= LINE_BYTES_MAX {
                lines.extend(self.end());
            }
        }
        lines
    }

    fn end(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.rest);
        let text = String::from_utf8_lossy(&line);
        (!line.is_empty()).then(|| text.trim_end_matches(['\n', '\r']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_are_cut() {
        let text = "one\r\n\ntwo\nthree";
        for step in 1..text.len() {
            let mut lines = Lines::default();
            let mut all: Vec<String> =
                text.as_bytes().chunks(step).flat_map(|chunk| lines.feed(chunk)).collect();
            all.extend(lines.end());
            assert_eq!(all, ["one", "", "two", "three"], "cut every {step} bytes");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed(&vec![b'x'; LINE_BYTES_MAX]).len(), 1);
        assert_eq!(lines.end(), None);
    }
}
