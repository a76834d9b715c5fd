//! Key-encryption keys in a file: one line each, `ID HEX`, the first wraps and all of them unwrap.
//!
//! The file is read anew for each use, so that a rotated one holds at once and no key stays in memory.
//! It belongs to one user and nobody else may read it (mode 0600); one that others can read is refused.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::envelope::{self, NONCE_BYTES};
use super::kek::{Answer, Context, DATA_KEY_BYTES, DataKey, Error, Kek, Wrapped};

/// The most keys of a file.
pub const KEYS_MAX: usize = 100;
const FILE_BYTES_MAX: u64 = 16 * 1024;
const MODE: u32 = 0o600;
/// An id, a space, 64 digits and a line end.
const LINE_BYTES_MAX: usize = 128;
/// How often a file is opened anew that somebody else has just replaced.
const HOLDS_MAX: u32 = 16;

/// A file of key-encryption keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
}

/// A key and its id.
struct Key {
    id: String,
    bytes: DataKey,
}

impl KeyFile {
    /// The keys of this file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes a file with one new key, and answers the key's id.
    ///
    /// # Errors
    /// Where there is something at that path already, or it cannot be written.
    pub fn make(path: &Path) -> Result<String, Error> {
        let key = Key::new()?;
        let whole = written_beside(path, std::slice::from_ref(&key))?;
        whole.persist_noclobber(path).map_err(|refused| failed(path, "made")(refused.error))?;
        Ok(key.id)
    }

    /// Makes a file with one new key where there is none; two that do so at once make one.
    ///
    /// # Errors
    /// Where the file cannot be written, or holds no keys.
    pub fn ensure(path: &Path) -> Result<(), Error> {
        if let Err(error) = Self::make(path)
            && !path.exists()
        {
            return Err(error);
        }
        read(path).map(drop)
    }

    /// Puts a new key before those that are there, and answers its id. Nothing is unwrapped anew.
    ///
    /// # Errors
    /// Where the file is none, is full or cannot be replaced.
    pub fn rotate(path: &Path) -> Result<String, Error> {
        let _held = hold(path)?;
        let mut keys = read(path)?;
        if keys.len() >= KEYS_MAX {
            return Err(unfit(path, &format!("has {KEYS_MAX} keys, the most; retire one")));
        }
        let key = Key::new()?;
        let id = key.id.clone();
        keys.insert(0, key);
        replace(path, &keys)?;
        Ok(id)
    }

    /// Takes a key out of the file; what it wraps is lost. The first stays.
    ///
    /// # Errors
    /// Where the file is none or cannot be replaced, or the key is not there or is the first.
    pub fn retire(path: &Path, id: &str) -> Result<(), Error> {
        let _held = hold(path)?;
        let mut keys = read(path)?;
        if keys.iter().skip(1).all(|key| key.id != id) {
            return Err(unfit(path, &format!("has no key {id} behind its first one")));
        }
        keys.retain(|key| key.id != id);
        replace(path, &keys)
    }

    /// The ids of the file's keys, the one that wraps first.
    ///
    /// # Errors
    /// Where the file is none.
    pub fn ids(path: &Path) -> Result<Vec<String>, Error> {
        Ok(read(path)?.into_iter().map(|key| key.id).collect())
    }

    async fn keys(&self) -> Result<Vec<Key>, Error> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || read(&path)).await.map_err(|_| Error::Unavailable {
            message: "the process is ending".to_owned(),
            transient: true,
        })?
    }
}

impl Kek for KeyFile {
    fn current(&self) -> Answer<'_, String> {
        Box::pin(async { Ok(first(self.keys().await?)?.id) })
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a Context) -> Answer<'a, Wrapped> {
        Box::pin(async move {
            let kek = first(self.keys().await?)?;
            let (nonce, ciphertext) =
                envelope::encrypt(&kek.bytes, key.as_slice(), &about(&kek.id, context))?;
            Ok(Wrapped { kek: kek.id, bytes: [&nonce[..], &ciphertext].concat() })
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> Answer<'a, DataKey> {
        Box::pin(async move {
            let mut keys = self.keys().await?.into_iter();
            let kek = keys
                .find(|key| key.id == wrapped.kek)
                .ok_or_else(|| Error::Unknown { id: wrapped.kek.clone() })?;
            let (nonce, ciphertext) =
                wrapped.bytes.split_first_chunk::<NONCE_BYTES>().ok_or(Error::Mismatch)?;
            let plain =
                envelope::decrypt(&kek.bytes, (nonce, ciphertext), &about(&kek.id, context))?;
            let mut key = DataKey::default();
            if plain.len() != key.len() {
                return Err(Error::Mismatch);
            }
            key.copy_from_slice(&plain);
            Ok(key)
        })
    }
}

impl Key {
    fn new() -> Result<Self, Error> {
        let id = format!("file-{}", Uuid::now_v7().simple());
        Ok(Self { id, bytes: envelope::random_key()? })
    }

    fn of_line(line: &str) -> Option<Self> {
        let (id, text) = line.split_once(' ')?;
        let is_id = id.strip_prefix("file-").is_some_and(|id| id.parse::<Uuid>().is_ok());
        let mut bytes = DataKey::default();
        hex::decode_to_slice(text.trim_end(), bytes.as_mut_slice()).ok().filter(|()| is_id)?;
        Some(Self { id: id.to_owned(), bytes })
    }
}

fn about(id: &str, context: &Context) -> String {
    format!("maestro data key v1\n{id}\n{context}")
}

fn first(keys: Vec<Key>) -> Result<Key, Error> {
    let missing = || Error::Unknown { id: "that wraps".to_owned() };
    keys.into_iter().next().ok_or_else(missing)
}

fn unfit(path: &Path, what: &str) -> Error {
    Error::Unavailable { message: format!("{} {what}", path.display()), transient: false }
}

fn failed(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| unfit(&path, &format!("cannot be {doing}: {error}"))
}

fn read(path: &Path) -> Result<Vec<Key>, Error> {
    let file = fs::File::open(path).map_err(failed(path, "read"))?;
    let mode = file.metadata().map_err(failed(path, "read"))?.mode();
    if mode & 0o077 != 0 {
        let mode = mode & 0o777;
        return Err(unfit(
            path,
            &format!("has the mode {mode:o}; expected 600, for its owner alone"),
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed(path, "read"))?;
    let keys: Option<Vec<Key>> = text.lines().map(Key::of_line).collect();
    keys.filter(|keys| (1..=KEYS_MAX).contains(&keys.len())).ok_or_else(|| {
        unfit(path, "holds no keys; expected lines of an id and 64 hexadecimal digits, as `maestro secrets keys init` makes")
    })
}

/// The file, held so that nobody else changes it meanwhile: who reads, changes and replaces it has it
/// from before the first to after the last.
fn hold(path: &Path) -> Result<fs::File, Error> {
    for _ in 0..HOLDS_MAX {
        let file = fs::File::open(path).map_err(failed(path, "read"))?;
        match file.try_lock() {
            // Whoever held it before has put another one in its place.
            Ok(()) => {
                let held = file.metadata().map_err(failed(path, "read"))?;
                let there = fs::metadata(path).map_err(failed(path, "read"))?;
                if (held.dev(), held.ino()) == (there.dev(), there.ino()) {
                    return Ok(file);
                }
            }
            Err(fs::TryLockError::WouldBlock) => break,
            Err(fs::TryLockError::Error(error)) => return Err(failed(path, "held")(error)),
        }
    }
    Err(unfit(path, "is being changed by another process; try again"))
}

/// A whole file beside `path`, which goes away where it is not put in its place: whoever reads that one
/// sees all of the former or all of the new.
fn written_beside(path: &Path, keys: &[Key]) -> Result<NamedTempFile, Error> {
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * LINE_BYTES_MAX));
    for key in keys {
        let mut digits = Zeroizing::new([0; 2 * DATA_KEY_BYTES]);
        let written = hex::encode_to_slice(key.bytes.as_slice(), digits.as_mut_slice());
        written.map_err(|_| unfit(path, "has a key of another length"))?;
        text.push_str(&key.id);
        text.push(' ');
        text.extend(digits.iter().copied().map(char::from));
        text.push('\n');
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(MODE))
        .tempfile_in(directory.unwrap_or(Path::new(".")))
        .map_err(failed(path, "made"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed(path, "written"))?;
    Ok(file)
}

fn replace(path: &Path, keys: &[Key]) -> Result<(), Error> {
    let whole = written_beside(path, keys)?;
    whole.persist(path).map_err(|refused| failed(path, "replaced")(refused.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::OpenOptionsExt as _;

    fn message(error: Error) -> String {
        error.to_string()
    }

    #[test]
    fn a_file_is_made_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let id = KeyFile::make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(KeyFile::make(&path).is_err());
        KeyFile::ensure(&path).unwrap();
        assert_eq!(KeyFile::ids(&path).unwrap(), std::slice::from_ref(&id));
        let second = KeyFile::rotate(&path).unwrap();
        assert_eq!(KeyFile::ids(&path).unwrap(), [second.clone(), id]);
        assert!(KeyFile::retire(&path, &second).is_err());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_that_rotate_at_once_lose_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let first = KeyFile::make(&path).unwrap();
        let made: Vec<String> = std::thread::scope(|scope| {
            let rotate = || {
                let tries = std::iter::repeat_with(|| KeyFile::rotate(&path)).take(100_000);
                tries.flatten().take(8).collect::<Vec<_>>()
            };
            let all: Vec<_> = (0..4).map(|_| scope.spawn(rotate)).collect();
            all.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        let there = KeyFile::ids(&path).unwrap();
        assert_eq!(made.len(), 32);
        assert!(made.iter().chain([&first]).all(|id| there.contains(id)), "{made:?} in {there:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        KeyFile::make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let found = message(KeyFile::ids(&path).unwrap_err());
        assert!(found.contains("mode 640") && found.contains("expected 600"), "{found}");
    }

    #[test]
    fn what_is_no_file_of_keys_is_refused_without_a_word_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let plus = format!("file-{} {}", Uuid::now_v7().simple(), "+f".repeat(DATA_KEY_BYTES));
        for text in ["", "hunter2", "file-x 00", "\u{e9}\n", &plus] {
            let mut file = fs::OpenOptions::new();
            file.create(true).truncate(true).write(true).mode(MODE);
            file.open(&path).unwrap().write_all(text.as_bytes()).unwrap();
            let found = message(KeyFile::ids(&path).unwrap_err());
            assert!(found.contains("holds no keys") && !found.contains("hunter2"), "{found}");
        }
    }
}
