//! What lies where once layers are put on one another: directories, links and the rest, no bytes.

use std::collections::BTreeMap;

use super::{ENTRIES_MAX, Error};

/// A file of this name takes away what lies below in lower layers.
pub(super) const WHITEOUT: &str = ".wh.";
/// A file of this name takes away all of its directory that lies in lower layers.
const OPAQUE: &str = ".wh..wh..opq";
/// The most bytes of all names together.
const NAMES_BYTES_MAX: usize = 256 << 20;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Link,
    /// A file, a device or a pipe.
    File,
}

/// The paths of an image, without a `/` before or behind.
#[derive(Debug, Default)]
pub(super) struct Root {
    entries: BTreeMap<String, Kind>,
    names_bytes: usize,
    /// Of all layers together, with those that are gone again.
    seen: usize,
}

impl Root {
    /// What stands there.
    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        self.entries.get(path).copied()
    }

    /// Puts an entry of the next layer where it belongs.
    pub(super) fn put(&mut self, path: &str, kind: Kind) -> Result<(), Error> {
        self.seen += 1;
        self.names_bytes += path.len();
        if self.seen > ENTRIES_MAX {
            return Err(Error::too_large("the image", ENTRIES_MAX as u64, "entries"));
        }
        if self.names_bytes > NAMES_BYTES_MAX {
            return Err(Error::too_large("its names", NAMES_BYTES_MAX as u64, "bytes"));
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name == OPAQUE {
            self.remove_below(folder);
        } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
            let gone = if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
            self.remove_below(&gone);
            self.entries.remove(&gone);
        } else {
            if kind != Kind::Directory && self.kind(path) == Some(Kind::Directory) {
                self.remove_below(path);
            }
            self.entries.insert(path.to_owned(), kind);
        }
        Ok(())
    }

    fn remove_below(&mut self, folder: &str) {
        if folder.is_empty() {
            self.entries.clear();
            return;
        }
        // `0` is the sign behind `/`.
        let below = (format!("{folder}/"), format!("{folder}0"));
        let gone: Vec<String> =
            self.entries.range(below.0..below.1).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.entries.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whiteout_takes_away_what_lies_below_and_nothing_beside_it() {
        let mut root = Root::default();
        for path in ["a", "a/b", "a/b/c", "a-b"] {
            root.put(path, Kind::Directory).expect("put");
        }
        root.put("a/.wh.b", Kind::File).expect("put");
        assert_eq!((root.kind("a/b"), root.kind("a/b/c")), (None, None));
        assert_eq!((root.kind("a"), root.kind("a-b")), (Some(Kind::Directory), root.kind("a")));
        root.put("a/x", Kind::Link).expect("put");
        root.put("a/.wh..wh..opq", Kind::File).expect("put");
        assert_eq!((root.kind("a/x"), root.kind("a")), (None, Some(Kind::Directory)));
        root.put("a/y", Kind::File).expect("put");
        root.put("a", Kind::Link).expect("put");
        assert_eq!((root.kind("a/y"), root.kind("a")), (None, Some(Kind::Link)));
    }
}
