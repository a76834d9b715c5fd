//! Secrets on their way to a step's processes: as variables, or as files that the variables name.
//!
//! A file belongs to the worker's user alone (mode 0600), lies in the execution's own home, and is
//! overwritten and removed when the step's commands have ended, however they ended.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use maestro_kit::secrets::{Secret, Secrets};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::environment::Variables;
use crate::error::Error;

const DIRECTORY: &str = ".maestro-secrets";
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// The most of a file that is overwritten, in bytes; a step may have written more into it.
const WIPED_BYTES_MAX: u64 = 1 << 20;

/// The files of an execution's secrets. Dropped, they are gone.
#[derive(Debug, Default)]
pub(crate) struct SecretFiles {
    place: Option<Place>,
    files: Vec<(String, File)>,
}

/// Where they are, held open: the step may put something else under the same paths, which then is not
/// what is overwritten and removed.
#[derive(Debug)]
struct Place {
    home: File,
    directory: File,
    path: PathBuf,
}

impl SecretFiles {
    /// Adds the secrets to `variables`, and puts those into files below `home` that are to be in one.
    pub(crate) fn put(
        home: &Path,
        secrets: &Secrets,
        variables: &mut Variables,
    ) -> Result<Self, Error> {
        let mut files = Self::default();
        for (variable, secret) in secrets {
            let value = if secret.file {
                files.write(home, variable, secret)?
            } else {
                text(variable, secret)?
            };
            variables.insert(variable.clone(), value);
        }
        Ok(files)
    }

    fn write(&mut self, home: &Path, variable: &str, secret: &Secret) -> Result<String, Error> {
        if self.place.is_none() {
            let failed = |source| Error::files("cannot make", home, source);
            self.place = Some(Place::make(home).map_err(failed)?);
        }
        let directory = self.place.as_ref().map_or(home, |place| &place.path);
        let path = directory.join(variable);
        let failed = |source| Error::files("cannot make", &path, source);
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(FILE_MODE).open(&path).map_err(failed)?;
        let written = file.write_all(&secret.value);
        self.files.push((variable.to_owned(), file));
        written.map_err(failed)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

impl Place {
    fn make(home: &Path) -> io::Result<Self> {
        let path = home.join(DIRECTORY);
        DirBuilder::new().mode(DIRECTORY_MODE).create(&path)?;
        Ok(Self { home: File::open(home)?, directory: File::open(&path)?, path })
    }
}

fn text(variable: &str, secret: &Secret) -> Result<String, Error> {
    let text = std::str::from_utf8(&secret.value).ok().filter(|text| !text.contains('\0'));
    text.map(str::to_owned).ok_or_else(|| {
        Error::Parameters(format!(
            "MAE-7058: the secret of the variable {variable} is no text that a variable can hold; take it as a file, with `file: true`"
        ))
    })
}

impl Drop for SecretFiles {
    fn drop(&mut self) {
        let Some(place) = &self.place else { return };
        for (name, file) in &mut self.files {
            if let Err(error) = wipe(file) {
                tracing::warn!(%error, "the file of a secret is not wiped");
            }
            // Where the step has put a directory in its place, that goes with the execution's own.
            let _ = unlinkat(&place.directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        let _ = unlinkat(&place.home, DIRECTORY, UnlinkatFlags::RemoveDir);
    }
}

/// Overwrites what was written, wherever the step has moved it.
fn wipe(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len().min(WIPED_BYTES_MAX);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&vec![0; usize::try_from(length).unwrap_or(0)])?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use maestro_kit::evidence::secret::Zeroizing;

    use super::*;

    fn secret(value: &[u8], file: bool) -> Secret {
        Secret { version: 1, file, value: Arc::new(Zeroizing::new(value.to_vec())) }
    }

    #[test]
    fn a_file_is_private_and_gone_afterwards() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::from([
            ("KEY".to_owned(), secret(b"\xff\0binary", true)),
            ("TOKEN".to_owned(), secret(b"hunter2!", false)),
        ]);
        let mut variables = Variables::new();
        let files = SecretFiles::put(home.path(), &secrets, &mut variables).unwrap();
        assert_eq!(variables["TOKEN"], "hunter2!");
        let path = PathBuf::from(&variables["KEY"]);
        assert_eq!(fs::read(&path).unwrap(), b"\xff\0binary");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let copy = home.path().join("hard");
        fs::hard_link(&path, &copy).unwrap();
        drop(files);
        assert!(!path.exists() && !path.parent().unwrap().exists());
        assert_eq!(fs::read(copy).unwrap(), vec![0; 8], "its bytes were overwritten");
    }

    #[test]
    fn what_a_step_puts_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let other = home.path().join("other");
        fs::write(&other, "untouched").unwrap();
        let secrets = Secrets::from([("KEY".to_owned(), secret(b"hunter2!", true))]);
        let mut variables = Variables::new();
        let files = SecretFiles::put(home.path(), &secrets, &mut variables).unwrap();
        let path = PathBuf::from(&variables["KEY"]);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        drop(files);
        assert_eq!(fs::read_to_string(other).unwrap(), "untouched");
    }

    #[test]
    fn a_directory_that_a_step_puts_in_place_of_theirs_is_not_entered() {
        let home = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let theirs = other.path().join("KEY");
        fs::write(&theirs, "untouched").unwrap();
        let secrets = Secrets::from([("KEY".to_owned(), secret(b"hunter2!", true))]);
        let mut variables = Variables::new();
        let files = SecretFiles::put(home.path(), &secrets, &mut variables).unwrap();
        let (directory, moved) = (home.path().join(DIRECTORY), home.path().join("moved"));
        let copy = home.path().join("hard");
        fs::hard_link(&variables["KEY"], &copy).unwrap();
        fs::rename(&directory, &moved).unwrap();
        std::os::unix::fs::symlink(other.path(), &directory).unwrap();
        drop(files);
        assert_eq!(fs::read_to_string(theirs).unwrap(), "untouched");
        assert_eq!(fs::read(copy).unwrap(), vec![0; 8], "its own is overwritten");
        assert!(!moved.join("KEY").exists(), "and removed");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_as_a_variable_without_a_word_of_them() {
        let home = tempfile::tempdir().unwrap();
        for value in [&b"hunter2\0"[..], b"hunter2\xff"] {
            let secrets = Secrets::from([("KEY".to_owned(), secret(value, false))]);
            let put = SecretFiles::put(home.path(), &secrets, &mut Variables::new());
            let error = put.unwrap_err().to_string();
            assert!(error.contains("KEY") && !error.contains("hunter2"), "{error}");
        }
    }
}
