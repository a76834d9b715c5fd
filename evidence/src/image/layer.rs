//! Files to a layer: the same files, the same bytes.
//!
//! Sorted by path; owner and group 0, modes 0755 and 0644, one time for all; packed by one
//! implementation at one level, with nothing in its header about when and where.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use maestro_schemas::digest::Digest;
use tar::{Builder, EntryType, Header};

use super::file::open;
use super::hashing::Hashing;
use super::root::{Kind, Root, WHITEOUT};
use super::{Error, LAYER_BYTES_MAX};

/// How hard is packed.
const LEVEL: u32 = 6;
/// The system in a packed file's header: unknown.
const NO_SYSTEM: u8 = 255;
/// The longest path in an image, and the longest target of a link, in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// Where what goes into an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file's bytes.
    File {
        /// Where it lies; never a link.
        path: PathBuf,
        /// Whether it may be executed in the image.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// What it says.
        target: String,
    },
}

/// A layer as it was written.
pub(super) struct Written {
    /// Of the packed bytes.
    pub(super) digest: Digest,
    /// The number of packed bytes.
    pub(super) size: u64,
    /// Of the unpacked bytes.
    pub(super) diff_id: Digest,
}

/// A path in an image as it is kept, `app/main` for `/app/main`.
///
/// Refused where it leads upwards, is empty or too long, or would take away what lies below.
pub fn image_path(text: &str) -> Result<String, Error> {
    let refuse = |problem| Err(Error::name("the image", text, problem));
    if text.len() > PATH_BYTES_MAX {
        return refuse("it is too long");
    }
    if text.contains('\0') {
        return refuse("it holds a zero byte");
    }
    let mut names = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => return refuse("it leads upwards"),
            name if name.starts_with(WHITEOUT) => {
                return refuse("names that begin with .wh. delete in an image");
            }
            name if name.len() > 255 => return refuse("a name in it is too long"),
            name => names.push(name),
        }
    }
    if names.is_empty() {
        return refuse("it names nothing");
    }
    Ok(names.join("/"))
}

/// Writes the layer that puts `files` upon `root`; its times are `epoch`, in seconds since 1970.
pub(super) fn write(
    out: impl Write,
    files: &BTreeMap<String, Source>,
    root: &Root,
    epoch: u64,
) -> Result<Written, Error> {
    let items = with_directories(files, root)?;
    let broken = |error| Error::untrue("the layer", format!("it cannot be written: {error}"));
    let gzip = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM);
    let packed = gzip.write(Hashing::new(out), Compression::new(LEVEL));
    let mut layer = Layer { tar: Builder::new(Hashing::new(packed)), epoch, left: LAYER_BYTES_MAX };
    for (path, source) in items {
        layer.append(path, source)?;
    }
    let (packed, diff_id, _) = layer.tar.into_inner().map_err(broken)?.finish();
    let (mut out, digest, size) = packed.finish().map_err(broken)?.finish();
    out.flush().map_err(broken)?;
    Ok(Written { digest, size, diff_id })
}

/// The files, and the directories that have to be made for them: no others, because a directory of
/// a layer above takes over owner and mode.
fn with_directories<'a>(
    files: &'a BTreeMap<String, Source>,
    root: &Root,
) -> Result<BTreeMap<&'a str, Option<&'a Source>>, Error> {
    let mut items: BTreeMap<&str, Option<&Source>> = BTreeMap::new();
    for (path, source) in files {
        for parent in path.match_indices('/').filter_map(|(at, _)| path.get(..at)) {
            let refuse = |problem| Err(Error::name("the image", path, problem));
            match root.kind(parent) {
                _ if files.contains_key(parent) => return refuse("it lies below a file or link"),
                Some(Kind::Directory) => {}
                Some(Kind::Link) => {
                    return refuse(
                        "a directory above it is a link in the base; name where it leads",
                    );
                }
                Some(Kind::File) => return refuse("a directory above it is a file in the base"),
                None => drop(items.insert(parent, None)),
            }
        }
        if root.kind(path) == Some(Kind::Directory) {
            return Err(Error::name("the image", path, "it is a directory in the base"));
        }
        items.insert(path, Some(source));
    }
    Ok(items)
}

struct Layer<W: Write> {
    tar: Builder<W>,
    epoch: u64,
    /// How many bytes more may come.
    left: u64,
}

impl<W: Write> Layer<W> {
    fn append(&mut self, path: &str, source: Option<&Source>) -> Result<(), Error> {
        match source {
            None => {
                let mut header = self.header(EntryType::Directory, 0o755, 0);
                self.tar
                    .append_data(&mut header, format!("{path}/"), io::empty())
                    .map_err(unwritable(path))
            }
            Some(Source::Link { target }) => {
                if target.is_empty() || target.len() > PATH_BYTES_MAX || target.contains('\0') {
                    return Err(Error::name("the image", path, "its link is empty or too long"));
                }
                let mut header = self.header(EntryType::Symlink, 0o777, 0);
                self.tar.append_link(&mut header, path, target).map_err(unwritable(path))
            }
            Some(Source::File { path: from, executable }) => {
                self.append_file(path, from, *executable)
            }
        }
    }

    fn append_file(&mut self, path: &str, from: &Path, executable: bool) -> Result<(), Error> {
        let (file, size) = open(from)?;
        let Some(left) = self.left.checked_sub(size) else {
            return Err(Error::too_large("the layer", LAYER_BYTES_MAX, "bytes"));
        };
        self.left = left;
        let mode = if executable { 0o755 } else { 0o644 };
        let mut header = self.header(EntryType::Regular, mode, size);
        let mut bytes = file.take(size);
        self.tar.append_data(&mut header, path, &mut bytes).map_err(unwritable(path))?;
        if bytes.limit() != 0 {
            return Err(Error::untrue(path, "the file became shorter while it was read"));
        }
        Ok(())
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch);
        header.set_size(size);
        header
    }
}

fn unwritable(path: &str) -> impl FnOnce(io::Error) -> Error {
    move |error| Error::untrue(path, format!("it cannot be written into the layer: {error}"))
}
