//! Lines of JSON as they come, cut anywhere.

/// The longest line.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// What has been read of a line. Feed it; take what is whole.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

/// A line longer than [`LINE_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Oversized;

impl Lines {
    /// Takes bytes and gives the lines that they end; empty ones are passed over.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Oversized> {
        let mut whole = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.begun.len() + part.len() > LINE_BYTES_MAX {
                return Err(Oversized);
            }
            self.begun.extend_from_slice(part);
            if part.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.begun);
                whole.extend((!line.trim_ascii().is_empty()).then_some(line));
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_are_cut() {
        let text = b"{\"a\":1}\n\r\n{\"b\":2}\r\n{\"c\"";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let found: Vec<Vec<u8>> =
                text.chunks(size).flat_map(|part| lines.feed(part).unwrap()).collect();
            assert_eq!(found, [b"{\"a\":1}\n".to_vec(), b"{\"b\":2}\r\n".to_vec()]);
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let mut lines = Lines::default();
        let part = vec![b'x'; 64 << 10];
        let fed = (0..32).map(|_| lines.feed(&part)).find(Result::is_err);
        assert_eq!(fed, Some(Err(Oversized)));
        assert!(lines.begun.len() <= LINE_BYTES_MAX);
    }
}
