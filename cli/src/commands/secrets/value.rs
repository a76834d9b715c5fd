//! Where a value comes from: a file, or standard input. Never an argument: those show in process lists.

use std::fs::File;
use std::io::{IsTerminal as _, Read, stdin};
use std::path::PathBuf;

use maestro_evidence::secret::Zeroizing;
use maestro_schemas::secret::VALUE_BYTES_MAX;

use crate::error::Error;

/// Where the value is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Source {
    /// Read the value from this file, byte by byte as it is; without it from standard input, but for
    /// one line end at its end.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

impl Source {
    /// The value.
    pub(super) fn read(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        match &self.from_file {
            Some(path) => {
                let failed = || Error::file("read", path);
                let file = File::open(path).map_err(failed())?;
                whole(file).map_err(failed())
            }
            None if stdin().is_terminal() => Err(Error::usage(
                "there is no value: standard input is a terminal",
                "give it as --from-file FILE, or on standard input as < FILE",
            )),
            None => {
                let failed = |source| Error::System { action: "read standard input", source };
                Ok(without_line_end(whole(stdin().lock()).map_err(failed)?))
            }
        }
    }
}

/// All bytes, or one more than there may be: the server says what is too large.
fn whole(from: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = VALUE_BYTES_MAX + 1;
    // No second buffer is made and left behind while it is read.
    let mut value = Zeroizing::new(Vec::with_capacity(most + 1));
    from.take(most as u64).read_to_end(&mut value)?;
    Ok(value)
}

fn without_line_end(mut value: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_of_standard_input_is_no_part_of_the_value() {
        let read = |text: &str| without_line_end(whole(text.as_bytes()).unwrap()).to_vec();
        assert_eq!(read("token\n"), b"token");
        assert_eq!(read("token\r\n"), b"token");
        assert_eq!(read("a\nb\n\n"), b"a\nb\n");
        assert_eq!(read("token"), b"token");
    }

    #[test]
    fn no_more_is_read_than_can_be_refused() {
        assert_eq!(whole(std::io::repeat(b'x')).unwrap().len(), VALUE_BYTES_MAX + 1);
    }
}
