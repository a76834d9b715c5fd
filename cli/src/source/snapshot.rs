//! The tree of a directory: every file by path and digest, and where its bytes are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use maestro_engine::plan::sources::Files;
use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::Error;
use super::files::{self, Found, Kind};

const BUFFER: usize = 128 << 10;
/// A file that a compilation reads as text is no larger.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// A directory at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its files, sorted by path.
    pub tree: Tree,
    /// Where the bytes of each digest are, and how many.
    pub places: BTreeMap<Digest, (PathBuf, u64)>,
    /// What was left out and should be known.
    pub warnings: Vec<String>,
    root: PathBuf,
}

impl Snapshot {
    /// Reads every file of the directory once, on as many threads as there are cores.
    pub fn take(root: &Path) -> Result<Self, Error> {
        let listing = files::list(root)?;
        let digests = hash_all(&listing.files)?;
        let mut places = BTreeMap::new();
        let mut entries = Vec::with_capacity(listing.files.len());
        for (found, hashed) in listing.files.into_iter().zip(digests) {
            let kind = match (found.kind, hashed) {
                (Kind::Link { target }, _) => TreeEntryKind::Link { target },
                (Kind::File { executable, .. }, Some((digest, size))) => {
                    places.insert(digest, (found.place, size));
                    TreeEntryKind::File { digest, size, executable }
                }
                (Kind::File { .. }, None) => continue,
            };
            entries.push(TreeEntry { path: found.path, kind });
        }
        Ok(Self {
            tree: Tree { entries },
            places,
            warnings: listing.warnings,
            root: root.to_owned(),
        })
    }
}

impl Files for Snapshot {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let place = self.root.join(path);
        let small = std::fs::metadata(&place)
            .is_ok_and(|meta| meta.is_file() && meta.len() <= TEXT_BYTES_MAX);
        if small { std::fs::read(place).ok() } else { None }
    }

    fn digest(&self, path: &str) -> Option<Digest> {
        let place = self.root.join(path);
        if place.is_file() { hash(&place).ok().map(|(digest, _)| digest) } else { None }
    }
}

type Hashed = Option<(Digest, u64)>;

fn hash_all(files: &[Found]) -> Result<Vec<Hashed>, Error> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = files.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> =
            files.chunks(share).map(|chunk| scope.spawn(move || hash_some(chunk))).collect();
        let mut all = Vec::with_capacity(files.len());
        for worker in workers {
            all.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    })
}

fn hash_some(files: &[Found]) -> Result<Vec<Hashed>, Error> {
    let digest = |found: &Found| match found.kind {
        Kind::Link { .. } => Ok(None),
        Kind::File { .. } => {
            hash(&found.place).map(Some).map_err(Error::file("read", &found.place))
        }
    };
    files.iter().map(digest).collect()
}

fn hash(path: &Path) -> std::io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut size = 0u64;
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if read > 0 => hash.update(bytes),
            _ => break,
        }
        size += read as u64;
    }
    Ok((Digest::from_bytes(hash.finalize().into()), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_files_give_equal_trees_and_another_byte_another() {
        let make = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("src")).unwrap();
            std::fs::write(dir.path().join("src/a"), text).unwrap();
            std::fs::write(dir.path().join("b"), "same").unwrap();
            let snapshot = Snapshot::take(dir.path()).unwrap();
            (dir, snapshot)
        };
        let ((_one, first), (_two, second), (_three, third)) = (make("x"), make("x"), make("y"));
        assert_eq!(first.tree, second.tree);
        assert_ne!(first.tree, third.tree);
        assert_eq!(first.tree.entries.len(), 2);
        assert!(first.places.contains_key(&Digest::of(b"same")));
        assert_eq!(first.read("src/a"), Some(b"x".to_vec()));
        assert_eq!(Files::digest(&first, "b"), Some(Digest::of(b"same")));
        assert_eq!(Files::digest(&first, "none"), None);
    }
}
