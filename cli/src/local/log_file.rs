//! Where a child's output goes, and the end of it for an error message.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::Error;
use super::paths;

const SIZE_MAX: u64 = 16 << 20;
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 12;

/// Opens a log for appending, 0600. One that has grown over 16 MiB is kept once, as `<name>.old`.
pub fn open(path: &Path) -> Result<File, Error> {
    if fs::metadata(path).is_ok_and(|m| m.len() > SIZE_MAX) {
        fs::rename(path, path.with_extension("log.old")).map_err(Error::file("rename", path))?;
    }
    paths::append_file(path)
}

/// The last lines of a log, at most 12 and 4 KiB; empty when it cannot be read.
pub fn tail(path: &Path) -> String {
    let text = read_end(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().rev().take(TAIL_LINES).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn read_end(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let lines: Vec<_> = (0..5000).map(|n| format!("line {n}")).collect();
        fs::write(&path, lines.join("\n")).unwrap();
        let tail = tail(&path);
        assert!(tail.ends_with("line 4999"));
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert_eq!(super::tail(&dir.path().join("none")), "");
    }
}
