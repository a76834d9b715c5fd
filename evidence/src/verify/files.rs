//! Each file is what the manifest says, and there is no other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use maestro_schemas::artifact::{Tree, TreeEntryKind};
use maestro_schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::{CHANGED, Finding, Manifest, UNLISTED, audit, promotions};
use crate::key::PublicKey;
use crate::statement::provenance::BYPRODUCTS;
use crate::statement::run::{FILES_MAX, file};
use crate::tree::{self, Limits};

/// What a directory's list of files ends with.
const TREE_SUFFIX: &str = ".tree.json";

/// The largest list of a directory's files, in bytes.
const TREE_BYTES_MAX: u64 = 64 << 20;

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// The files that hold, by path.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The digest of each.
    pub(super) files: BTreeMap<String, Digest>,
    /// Links of directories, with their targets.
    links: BTreeMap<String, String>,
    /// Files of directories, and whether their owner may execute them.
    executable: BTreeMap<String, bool>,
    /// Directories whose lists of files were read.
    directories: BTreeSet<String>,
}

impl Listing {
    /// Files below a directory of the evidence.
    pub(super) fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = &'a String> {
        let is_below = move |path: &&String| {
            path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        self.files.keys().filter(is_below)
    }

    /// Artifacts by path: files, and directories by their lists. What is in a directory is left out.
    pub(super) fn artifacts(&self) -> impl Iterator<Item = (&str, Digest)> {
        let within = |path: &str| {
            let mut above = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
            above.any(|directory| self.directories.contains(directory))
        };
        self.below(file::ARTIFACTS).filter(move |path| !within(path)).filter_map(|path| {
            let digest = self.files.get(path)?;
            let directory = path.strip_suffix(TREE_SUFFIX);
            let directory = directory.filter(|directory| self.directories.contains(*directory));
            Some((directory.unwrap_or(path), *digest))
        })
    }

    /// Artifacts that statements are about, by path.
    pub(super) fn made(&self) -> Vec<(String, Digest)> {
        let role = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let besides = |path: &str| BYPRODUCTS.contains(&role(path).as_str());
        let made = self.artifacts().filter(|(path, _)| !besides(path));
        made.map(|(path, digest)| (path.to_owned(), digest)).collect()
    }
}

/// Checks every file, and returns those that hold.
pub(super) fn check(directory: &Path, manifest: &Manifest, finding: &mut Finding) -> Listing {
    let mut listing = Listing::default();
    for subject in &manifest.statement.subject {
        match subject.digest.as_sha256().filter(|_| is_plain(&subject.name)) {
            Some(digest) => {
                if listing.files.insert(subject.name.clone(), digest).is_some() {
                    finding.fail(CHANGED, subject.name.clone(), "it is listed twice");
                }
            }
            None => finding.fail(CHANGED, subject.name.clone(), "it is no path with a SHA-256"),
        }
    }
    if listing.files.len() > FILES_MAX {
        finding.fail(CHANGED, file::MANIFEST, format!("it lists more than {FILES_MAX} files"));
        return Listing::default();
    }
    let named: Vec<(&String, &Digest)> = listing.files.iter().collect();
    let wrong = hash_all(directory, &named);
    finding.files = named.len() - wrong.len();
    for (path, what) in wrong {
        finding.fail(CHANGED, path, what);
    }
    read_lists(directory, &mut listing, finding);
    walk(directory, directory, &listing, finding);
    listing
}

/// A path below the directory, as the one who signed writes them.
fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && ![file::MANIFEST, file::KEYS, file::ROOT].contains(&path)
}

/// Files that are not what was signed, with what they are instead.
fn hash_all(directory: &Path, named: &[(&String, &Digest)]) -> Vec<(String, String)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = named.len().div_ceil(threads).max(1);
    let hash = |named: &[(&String, &Digest)]| -> Vec<(String, String)> {
        let wrong = named.iter().filter_map(|(path, expected)| {
            let what = match hash(&directory.join(path)) {
                Ok(found) if found == **expected => return None,
                Ok(found) => format!("it is {found}; {expected} was signed"),
                Err(error) => format!("it cannot be read: {error}"),
            };
            Some(((*path).clone(), what))
        });
        wrong.collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            named.chunks(share).map(|part| scope.spawn(move || hash(part))).collect();
        let join = |part: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
            part.join().unwrap_or_else(|_| vec![(String::new(), "a file cannot be hashed".into())])
        };
        parts.into_iter().flat_map(join).collect()
    })
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(chunk.get(..read).unwrap_or_default());
    }
}

/// Opens a file; a link, a pipe or a device is refused.
fn open(path: &Path) -> io::Result<File> {
    match std::fs::symlink_metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// The bytes of a file that has at most so many.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= bytes_max {
        true => Ok(bytes),
        false => Err(io::Error::other(format!("it has more than {bytes_max} bytes"))),
    }
}

/// Files of one kind right in a folder of a directory of evidence.
pub(super) struct Folder {
    pub(super) name: &'static str,
    /// What their names end with.
    pub(super) suffix: &'static str,
}

impl Folder {
    /// Whether a path is of such a file.
    pub(super) fn has(&self, path: &str) -> bool {
        let name = path.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| !name.contains('/') && name.ends_with(self.suffix))
    }

    /// The paths of at most one more than `most` of them, sorted; links and pipes are found elsewhere.
    pub(super) fn paths(&self, directory: &Path, most: usize) -> Vec<String> {
        let entries = std::fs::read_dir(directory.join(self.name)).into_iter().flatten().flatten();
        let paths =
            entries.map(|entry| format!("{}/{}", self.name, entry.file_name().to_string_lossy()));
        let mut paths: Vec<String> = paths.filter(|path| self.has(path)).take(most + 1).collect();
        paths.sort();
        paths
    }
}

/// Whether the root's own file, which only people and other tools read, is this key's.
pub(super) fn is_root(directory: &Path, root: &PublicKey) -> bool {
    match read(&directory.join(file::ROOT), crate::key::PEM_BYTES_MAX as u64) {
        Ok(text) => text == root.pem().as_bytes(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// What lists of directories say beside digests: links, and what may be executed.
fn read_lists(directory: &Path, listing: &mut Listing, finding: &mut Finding) {
    let below = format!("{}/", file::ARTIFACTS);
    let lists: Vec<String> = listing
        .files
        .keys()
        .filter(|path| path.starts_with(&below) && path.ends_with(TREE_SUFFIX))
        .cloned()
        .collect();
    for path in lists {
        let bytes = read(&directory.join(&path), TREE_BYTES_MAX).unwrap_or_default();
        // An artifact may bear such a name without being a list.
        let Ok(list) = serde_json::from_slice::<Tree>(&bytes) else { continue };
        if tree::check(&list, Limits::default()).is_err() {
            continue;
        }
        let place = path.strip_suffix(TREE_SUFFIX).unwrap_or(&path).to_owned();
        listing.directories.insert(place.clone());
        for entry in list.entries {
            let path = format!("{place}/{}", entry.path);
            match entry.kind {
                TreeEntryKind::Link { target } => {
                    listing.links.insert(path, target);
                }
                TreeEntryKind::File { digest, executable, .. } => {
                    if listing.files.get(&path) != Some(&digest) {
                        finding.fail(CHANGED, path.clone(), "its directory's list names another");
                    }
                    listing.executable.insert(path, executable);
                }
            }
        }
    }
}

/// Finds what nobody signed.
fn walk(root: &Path, directory: &Path, listing: &Listing, finding: &mut Finding) {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            return finding.fail(
                CHANGED,
                name(root, directory),
                format!("cannot be read: {error}"),
            );
        }
    };
    for entry in entries.filter_map(Result::ok) {
        let (path, kind) = (entry.path(), entry.file_type());
        let name = name(root, &path);
        match kind {
            Ok(kind) if kind.is_dir() => walk(root, &path, listing, finding),
            Ok(kind) if kind.is_symlink() => {
                let target = std::fs::read_link(&path).unwrap_or_default();
                if listing.links.get(&name).map(Path::new) != Some(target.as_path()) {
                    finding.fail(UNLISTED, name, "a link that nobody signed");
                }
            }
            _ if [file::MANIFEST, file::KEYS, file::ROOT].contains(&name.as_str()) => {}
            // Written after the manifest, and believed by their own signatures.
            Ok(kind)
                if kind.is_file() && (promotions::FILES.has(&name) || audit::FILES.has(&name)) => {}
            _ if !listing.files.contains_key(&name) => {
                finding.fail(UNLISTED, name, "a file that nobody signed");
            }
            _ => mode(&path, name, listing, finding),
        }
    }
}

fn mode(path: &Path, name: String, listing: &Listing, finding: &mut Finding) {
    let Some(expected) = listing.executable.get(&name) else { return };
    let found = std::fs::symlink_metadata(path).map(|data| data.permissions().mode() & 0o100 != 0);
    if found.ok() != Some(*expected) {
        let what = if *expected { "may not be executed" } else { "may be executed" };
        finding.fail(CHANGED, name, format!("it {what}, other than what was signed"));
    }
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
