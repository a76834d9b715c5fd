//! A layer of somebody else: every name and size is looked at, and nothing is unpacked.
//!
//! The long names of GNU and PAX are put together here and not by the `tar` crate, because it reads
//! them in whole, however long a hostile archive says they are.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use maestro_schemas::digest::Digest;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::Error;
use super::hashing::Hashing;
use super::root::{Kind, Root};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 4096;
/// The most bytes of what stands before an entry to say more of it.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;

/// Reads a layer of at most `most` bytes through, puts its entries upon `root`, and answers the digest and
/// the size of its unpacked form.
pub(super) fn scan(
    place: &str,
    layer: impl Read,
    (packed, most): (bool, u64),
    root: &mut Root,
) -> Result<(Digest, u64), Error> {
    visit(place, layer, (packed, most), &mut |path, kind, _| root.put(path, kind))
}

/// What is done with an entry: its path, its kind, and the bytes of a file.
pub(super) type Visitor<'a> = dyn FnMut(&str, Kind, &mut dyn Read) -> Result<(), Error> + 'a;

/// Reads a layer of at most `most` bytes through, shows each entry, and answers the digest and the size of
/// its unpacked form.
pub(super) fn visit(
    place: &str,
    layer: impl Read,
    (packed, most): (bool, u64),
    visitor: &mut Visitor<'_>,
) -> Result<(Digest, u64), Error> {
    match packed {
        true => walk(place, MultiGzDecoder::new(layer), most, visitor),
        false => walk(place, layer, most, visitor),
    }
}

fn walk(
    place: &str,
    unpacked: impl Read,
    most: u64,
    visitor: &mut Visitor<'_>,
) -> Result<(Digest, u64), Error> {
    let mut reader = Hashing::new(unpacked.take(most + 1));
    let walked = show(place, &mut reader, visitor);
    let (_, digest, bytes) = reader.finish();
    if bytes > most {
        return Err(Error::too_large(place, most, "bytes unpacked"));
    }
    walked.map(|()| (digest, bytes))
}

/// Shows each entry, and reads on to the end.
fn show(place: &str, reader: &mut impl Read, visitor: &mut Visitor<'_>) -> Result<(), Error> {
    let broken =
        |error: io::Error| Error::untrue(place, format!("it is no whole archive: {error}"));
    let mut archive = Archive::new(&mut *reader);
    let mut more = More::default();
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        if !more.take(place, &mut entry)? {
            let found = std::mem::take(&mut more).into_found(place, &entry)?;
            if let Some((path, kind)) = found {
                visitor(&path, kind, &mut entry)?;
            }
        }
    }
    // What stands behind the archive's end counts for the digest too.
    io::copy(reader, &mut io::sink()).map_err(broken)?;
    Ok(())
}

/// What was said of the next entry before it.
#[derive(Default)]
struct More {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl More {
    /// Takes an entry in that only says more of the next one; answers whether it was one.
    fn take<R: Read>(&mut self, place: &str, entry: &mut Entry<'_, R>) -> Result<bool, Error> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.name = Some(text(place, entry)?),
            EntryType::GNULongLink => self.link = Some(text(place, entry)?),
            EntryType::XHeader => self.read_pax(place, &bytes(place, entry)?)?,
            // What holds for all that follows: nobody's images have it but by a comment.
            EntryType::XGlobalHeader => drop(bytes(place, entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn read_pax(&mut self, place: &str, records: &[u8]) -> Result<(), Error> {
        let broken = |_| Error::untrue(place, "it has extended headers that are none");
        for record in PaxExtensions::new(records) {
            let record = record.map_err(broken)?;
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|size| size.parse().ok());
                    self.size =
                        Some(size.ok_or_else(|| Error::untrue(place, "a size is no number"))?);
                }
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(Error::untrue(place, "it has sparse files, which are not taken"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The path and kind of the entry; nothing where it is the root itself.
    fn into_found<R: Read>(
        self,
        place: &str,
        entry: &Entry<'_, R>,
    ) -> Result<Option<(String, Kind)>, Error> {
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link,
            EntryType::GNUSparse => {
                return Err(Error::untrue(place, "it has sparse files, which are not taken"));
            }
            _ => Kind::File,
        };
        let header_size = header.entry_size().unwrap_or(u64::MAX);
        if self.size.is_some_and(|size| size != header_size) {
            let problem = "an entry has two sizes, so that readers would differ in what follows";
            return Err(Error::untrue(place, problem));
        }
        if header.entry_type() == EntryType::Link {
            let target = self.link.or_else(|| header.link_name_bytes().map(Into::into));
            plain(place, &target.unwrap_or_default())?;
        }
        let path = plain(place, &self.name.unwrap_or_else(|| header.path_bytes().into_owned()))?;
        Ok((!path.is_empty()).then_some((path, kind)))
    }
}

/// A long name, without the zero that ends it.
fn text<R: Read>(place: &str, entry: &mut Entry<'_, R>) -> Result<Vec<u8>, Error> {
    let mut text = bytes(place, entry)?;
    if text.last() == Some(&0) {
        text.pop();
    }
    Ok(text)
}

fn bytes<R: Read>(place: &str, entry: &mut Entry<'_, R>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = entry.take(EXTENSION_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::untrue(place, format!("it is no whole archive: {error}")))?;
    if bytes.len() as u64 > EXTENSION_BYTES_MAX {
        return Err(Error::too_large(format!("{place}: a header"), EXTENSION_BYTES_MAX, "bytes"));
    }
    Ok(bytes)
}

/// A name as plain names with `/` between them; refused where it leads out of the image.
fn plain(place: &str, name: &[u8]) -> Result<String, Error> {
    let name = String::from_utf8_lossy(name);
    let refuse = |problem| Err(Error::name(place, &name, problem));
    if name.len() > NAME_BYTES_MAX {
        return refuse("it is too long");
    }
    if name.starts_with('/') {
        return refuse("it is absolute");
    }
    if name.contains('\0') {
        return refuse("it holds a zero byte");
    }
    let mut names = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return refuse("it leads upwards"),
            part => names.push(part),
        }
    }
    Ok(names.join("/"))
}

#[cfg(test)]
mod tests;
