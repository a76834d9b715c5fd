//! Some files of an image, as its layers put on one another leave them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::archive::visit;
use super::layout::is_packed;
use super::root::Kind;
use super::{Error, Image, LAYER_BYTES_MAX, Layout};

/// What stands before a name that a layer takes away (image-spec 1.1, `layer.md`).
const GONE: &str = ".wh.";
/// The name that takes away all that lower layers have in its directory.
const ALL_GONE: &str = ".wh..wh..opq";

/// The files that `wanted` names, by path without a `/` before it; at most so many bytes together.
/// It blocks while it reads.
///
/// # Errors
/// Where a layer is not what it says, or more than `bytes_max` is wanted.
pub fn contents(
    layout: &Layout,
    image: &Image,
    wanted: impl Fn(&str) -> bool,
    bytes_max: u64,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let (mut files, mut left) = (BTreeMap::<String, Vec<u8>>::new(), bytes_max);
    for layer in &image.manifest.layers {
        let place = format!("layer {}", layer.digest);
        // What a layer takes away is what lies below it, wherever that stands in its archive.
        let (mut gone, mut here) = (Gone::default(), BTreeMap::new());
        let mut visitor = |path: &str, kind: Kind, bytes: &mut dyn Read| {
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            let beside = |name: &str| match directory {
                "" => name.to_owned(),
                directory => format!("{directory}/{name}"),
            };
            match name.strip_prefix(GONE) {
                Some(_) if name == ALL_GONE => drop(gone.below.insert(directory.to_owned())),
                Some(name) => gone.whole(beside(name)),
                None if kind == Kind::File && wanted(path) => {
                    here.insert(path.to_owned(), read(&place, bytes, &mut left, bytes_max)?);
                }
                None if kind == Kind::Directory => drop(gone.itself.insert(path.to_owned())),
                None => gone.whole(path.to_owned()),
            }
            Ok(())
        };
        let packed = is_packed(layer)?;
        visit(&place, layout.open_blob(layer)?, (packed, LAYER_BYTES_MAX), &mut visitor)?;
        files.retain(|file, _| !gone.takes(file));
        files.append(&mut here);
    }
    Ok(files)
}

fn read(
    place: &str,
    bytes: &mut dyn Read,
    left: &mut u64,
    bytes_max: u64,
) -> Result<Vec<u8>, Error> {
    let mut file = Vec::new();
    let broken = |error| Error::untrue(place, format!("it is no whole archive: {error}"));
    bytes.take(left.saturating_add(1)).read_to_end(&mut file).map_err(broken)?;
    *left = left
        .checked_sub(file.len() as u64)
        .ok_or_else(|| Error::too_large("what is read of the image", bytes_max, "bytes"))?;
    Ok(file)
}

/// What a layer takes away of those below it, by path. A file is looked up with the directories above it, so
/// that many of both take no longer than they are many.
#[derive(Default)]
struct Gone {
    /// What lies at these.
    itself: BTreeSet<String>,
    /// What lies below these.
    below: BTreeSet<String>,
}

impl Gone {
    fn whole(&mut self, path: String) {
        self.itself.insert(path.clone());
        self.below.insert(path);
    }

    fn takes(&self, file: &str) -> bool {
        let above = file.match_indices('/').filter_map(|(at, _)| file.get(..at));
        self.itself.contains(file)
            || above.chain([""]).any(|directory| self.below.contains(directory))
    }
}
