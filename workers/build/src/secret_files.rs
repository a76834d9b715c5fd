//! Secrets on their way to a step's processes: as variables, or as files that the variables name.
//!
//! A file belongs to the worker's user alone (mode 0600), lies in the execution's own home, and is
//! overwritten and removed when the step's commands have ended, however they ended.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use maestro_kit::secrets::{Secret, Secrets};
use tokio::io::AsyncWriteExt as _;

use crate::environment::Variables;
use crate::error::Error;

const DIRECTORY: &str = ".maestro-secrets";
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// The files of an execution's secrets. Dropped, they are gone.
#[derive(Debug, Default)]
pub(crate) struct SecretFiles {
    directory: Option<PathBuf>,
    files: Vec<PathBuf>,
}

impl SecretFiles {
    /// Adds the secrets to `variables`, and puts those into files below `home` that are to be in one.
    pub(crate) async fn put(
        home: &Path,
        secrets: &Secrets,
        variables: &mut Variables,
    ) -> Result<Self, Error> {
        let mut files = Self::default();
        for (variable, secret) in secrets {
            let value = if secret.file {
                files.write(home, variable, secret).await?
            } else {
                text(variable, secret)?
            };
            variables.insert(variable.clone(), value);
        }
        Ok(files)
    }

    async fn write(
        &mut self,
        home: &Path,
        variable: &str,
        secret: &Secret,
    ) -> Result<String, Error> {
        let directory = home.join(DIRECTORY);
        if self.directory.is_none() {
            let mut builder = tokio::fs::DirBuilder::new();
            builder
                .mode(DIRECTORY_MODE)
                .create(&directory)
                .await
                .map_err(|source| Error::files("cannot make", &directory, source))?;
            self.directory = Some(directory.clone());
        }
        let path = directory.join(variable);
        self.files.push(path.clone());
        let failed = |source| Error::files("cannot make", &path, source);
        let mut file = tokio::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)
            .await
            .map_err(failed)?;
        file.write_all(&secret.value).await.map_err(failed)?;
        file.flush().await.map_err(failed)?;
        Ok(path.to_string_lossy().into_owned())
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
        for path in &self.files {
            if let Err(error) = wipe(path) {
                tracing::warn!(%error, "the file of a secret is not wiped");
            }
        }
        if let Some(directory) = &self.directory {
            // What the step put beside them goes with the execution's directory.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Overwrites and removes a file, unless the step has put something else in its place.
fn wipe(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if found.is_file() {
        let zeros = vec![0; usize::try_from(found.len()).unwrap_or(0).min(1 << 20)];
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        file.write_all(&zeros)?;
        file.sync_data()?;
    }
    if found.is_dir() { Ok(()) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use maestro_kit::evidence::secret::Zeroizing;

    use super::*;

    fn secret(value: &[u8], file: bool) -> Secret {
        Secret { version: 1, file, value: Arc::new(Zeroizing::new(value.to_vec())) }
    }

    #[tokio::test]
    async fn a_file_is_private_and_gone_afterwards() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::from([
            ("KEY".to_owned(), secret(b"\xff\0binary", true)),
            ("TOKEN".to_owned(), secret(b"hunter2!", false)),
        ]);
        let mut variables = Variables::new();
        let files = SecretFiles::put(home.path(), &secrets, &mut variables).await.unwrap();
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

    #[tokio::test]
    async fn what_a_step_puts_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let other = home.path().join("other");
        fs::write(&other, "untouched").unwrap();
        let secrets = Secrets::from([("KEY".to_owned(), secret(b"hunter2!", true))]);
        let mut variables = Variables::new();
        let files = SecretFiles::put(home.path(), &secrets, &mut variables).await.unwrap();
        let path = PathBuf::from(&variables["KEY"]);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        drop(files);
        assert_eq!(fs::read_to_string(other).unwrap(), "untouched");
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_refused_as_a_variable_without_a_word_of_them() {
        let home = tempfile::tempdir().unwrap();
        for value in [&b"hunter2\0"[..], b"hunter2\xff"] {
            let secrets = Secrets::from([("KEY".to_owned(), secret(value, false))]);
            let put = SecretFiles::put(home.path(), &secrets, &mut Variables::new()).await;
            let error = put.unwrap_err().to_string();
            assert!(error.contains("KEY") && !error.contains("hunter2"), "{error}");
        }
    }
}
