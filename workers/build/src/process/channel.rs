//! One process' way into a log that others write to as well: each is cleaned by itself, so that no
//! secret is cut in two by another's words, and one with a name has it before each line.

use maestro_kit::log::LogSink;
use maestro_kit::redact::{Redactor, Stream};

/// The longest line that is waited for, in bytes; a longer one is handed on in pieces.
const LINE_BYTES_MAX: usize = 8 << 10;

/// What a process says, on its way to the log.
pub(crate) struct Channel {
    log: LogSink,
    clean: Stream,
    /// Whose lines they are, where that is to be told, and the line that has begun.
    named: Option<(String, Vec<u8>)>,
}

impl Channel {
    /// Of the only process that speaks, or the one that all others are beside.
    pub(crate) fn of(log: &LogSink, redactor: &Redactor) -> Self {
        Self { log: log.clone(), clean: redactor.stream(), named: None }
    }

    /// Of one beside others.
    pub(crate) fn named(log: &LogSink, redactor: &Redactor, name: &str) -> Self {
        Self { named: Some((format!("[{name}] "), Vec::new())), ..Self::of(log, redactor) }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        let clean = self.clean.push(bytes);
        self.put(clean).await;
    }

    /// Hands on what was held back.
    pub(super) async fn finish(&mut self) {
        let last = self.clean.finish();
        self.put(last).await;
        if let Some((name, line)) = &mut self.named
            && !line.is_empty()
        {
            let said = [name.as_bytes(), &std::mem::take(line), b"\n"].concat();
            self.log.write(said).await;
        }
    }

    async fn put(&mut self, clean: Vec<u8>) {
        let said = match &mut self.named {
            None => clean,
            Some((name, line)) => {
                line.extend(clean);
                whole_lines(name, line)
            }
        };
        if !said.is_empty() {
            self.log.write(said).await;
        }
    }
}

/// Takes the lines that have ended, each with `name` before it, and leaves the one that has not.
fn whole_lines(name: &str, held: &mut Vec<u8>) -> Vec<u8> {
    let (mut said, mut rest) = (Vec::new(), held.as_slice());
    loop {
        let end = rest.iter().take(LINE_BYTES_MAX + 1).position(|byte| *byte == b'\n');
        let (line, after) = match end {
            Some(end) => (rest.get(..end), rest.get(end + 1..)),
            None if rest.len() > LINE_BYTES_MAX => {
                (rest.get(..LINE_BYTES_MAX), rest.get(LINE_BYTES_MAX..))
            }
            None => break,
        };
        said.extend_from_slice(name.as_bytes());
        said.extend_from_slice(line.unwrap_or_default());
        said.push(b'\n');
        rest = after.unwrap_or_default();
    }
    *held = rest.to_vec();
    said
}

#[cfg(test)]
mod tests {
    use maestro_kit::evidence::store::ArtifactStore;

    use super::*;

    #[test]
    fn whole_lines_bear_a_name_and_the_rest_waits() {
        let mut line = b"one\n\ntwo".to_vec();
        assert_eq!(whole_lines("[db] ", &mut line), b"[db] one\n[db] \n");
        assert_eq!(line, b"two");
        line.extend([b'x'; LINE_BYTES_MAX]);
        let said = whole_lines("", &mut line);
        assert_eq!((said.len(), line.len()), (LINE_BYTES_MAX + 1, 3));
    }

    #[tokio::test]
    async fn a_secret_between_whose_parts_another_speaks_is_not_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ArtifactStore::local(directory.path()).expect("a store");
        let redactor = Redactor::default();
        redactor.register([b"hunter2!".as_slice()]).expect("registered");
        let log = LogSink::kept(store.clone(), redactor.clone());
        let mut step = Channel::of(&log, &redactor);
        let mut service = Channel::named(&log, &redactor, "db");
        step.write(b"is hun").await;
        service.write(b"a line\nof hunt").await;
        step.write(b"ter2!\n").await;
        service.write(b"er2!").await;
        step.finish().await;
        service.finish().await;
        let kept = log.finish().await.expect("a log");
        let bytes = store.get(kept.digest, 1 << 10).await.expect("bytes");
        assert_eq!(String::from_utf8_lossy(&bytes), "is [db] a line\n***\n[db] of ***\n");
    }
}
