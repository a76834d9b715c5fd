//! The layout of `.maestro/`: directories 0700, files 0600, made when first needed.

use std::env;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use maestro_schemas::digest::Digest;

use super::Error;
use super::credentials::generate;
use crate::env_vars;

/// The files of one local stack. Cheap to clone; holds no handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Those of the project in `project`: `.maestro/` there, made if it is missing.
    ///
    /// The path is made absolute and free of links, because leftovers are recognised by it.
    pub fn of_project(project: &Path) -> Result<Self, Error> {
        Self::at(&project.join(".maestro"))
    }

    /// Those in the directory `root` itself, made if it is missing.
    pub fn at(root: &Path) -> Result<Self, Error> {
        make_dir(root)?;
        let root = root.canonicalize().map_err(Error::file("resolve", root))?;
        // It holds passwords and keys: git passes it over, whatever the project's own list says.
        let ignore = root.join(".gitignore");
        if !ignore.exists() {
            write_file(&ignore, b"*\n")?;
        }
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Locked by the process that owns the stack.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// What the owner tells others: endpoints, without passwords.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.json")
    }

    /// Generated passwords and tokens.
    pub fn credentials(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    /// Key-encryption keys of secrets.
    pub fn secrets_key(&self) -> PathBuf {
        self.root.join("secrets.key")
    }

    /// nats-server's configuration, log and store.
    pub fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// Postgres' data and log.
    pub fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }

    /// Artifacts, where object storage is a local directory.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// The keys that sign what runs here have left.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// LiteLLM's configuration and log.
    pub fn litellm(&self) -> PathBuf {
        self.root.join("litellm")
    }

    /// A text that no other stack has, so that what is named for it is this one's.
    pub fn id(&self) -> PathBuf {
        self.root.join("id")
    }

    /// Workspaces of the steps that run here: in the user's own cache, and not below the project, whose
    /// settings tools would find in the directories above a workspace. Here where the user has no home, or
    /// the cache is in the project itself.
    pub fn work(&self) -> Result<PathBuf, Error> {
        let absolute =
            |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
        self.work_in(
            absolute(env_vars::CACHE_HOME)
                .or_else(|| absolute(env_vars::HOME).map(|home| home.join(".cache"))),
        )
    }

    /// The same with this cache. Containers may share one and have equal paths: the name also depends on
    /// the stack's id.
    fn work_in(&self, cache: Option<PathBuf>) -> Result<PathBuf, Error> {
        let project = self.root.parent().unwrap_or(&self.root);
        let Some(cache) = cache.filter(|cache| !resolved(cache).starts_with(project)) else {
            return Ok(self.root.join("work"));
        };
        let id = self.made_id()?;
        let name = Digest::of(&[self.root.as_os_str().as_bytes(), b"\0", &id].concat()).to_hex();
        Ok(cache.join("maestro/work").join(format!("{name:.20}")))
    }

    /// The id, made where there is none: by the stack's owner, of which there is one.
    fn made_id(&self) -> Result<Vec<u8>, Error> {
        let path = self.id();
        if !path.exists() {
            write_file(&path, generate().as_bytes())?;
        }
        fs::read(&path).map_err(Error::file("read", &path))
    }

    /// Directories that are kept for steps.
    pub fn caches(&self) -> PathBuf {
        self.root.join("caches")
    }

    /// Output of a detached owner.
    pub fn up_log(&self) -> PathBuf {
        self.root.join("up.log")
    }

    /// Where the owner's socket lies unless that path is too long for a socket.
    pub fn up_socket(&self) -> PathBuf {
        self.root.join("up.sock")
    }
}

/// A path without links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let whole = there.and_then(|(above, real)| Some(real.join(path.strip_prefix(above).ok()?)));
    whole.unwrap_or_else(|| path.to_owned())
}

/// Makes a directory that only we may enter, with its parents, and closes one that was open.
pub fn make_dir(path: &Path) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(Error::file("protect", path))
        }
        made => made.map_err(Error::file("make", path)),
    }
}

/// Replaces a file by one that only we may read, whole or not at all.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(Error::file("write", path))?;
    file.write_all(bytes).map_err(Error::file("write", path))?;
    file.as_file().sync_data().map_err(Error::file("write", path))?;
    file.persist(path).map_err(|e| Error::file("write", path)(e.error))?;
    Ok(())
}

/// Opens a file for appending that only we may read, made if it is missing.
pub fn append_file(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_are_0700_and_files_0600_even_where_they_were_open() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join(".maestro");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o777)).unwrap();
        let paths = Paths::of_project(dir.path()).unwrap();
        fs::write(paths.state(), "old").unwrap();
        write_file(&paths.state(), b"new").unwrap();
        drop(append_file(&paths.up_log()).unwrap());
        assert_eq!(fs::read(root.join(".gitignore")).unwrap(), b"*\n", "no key gets into git");
        assert_eq!(mode(paths.root()), 0o700);
        assert_eq!(mode(&paths.state()), 0o600);
        assert_eq!(mode(&paths.up_log()), 0o600);
        assert_eq!(fs::read(paths.state()).unwrap(), b"new");
    }
    #[test]
    fn workspaces_of_two_stacks_with_one_cache_do_not_meet_though_their_paths_are_equal() {
        let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let paths = Paths::of_project(dir.path()).unwrap();
        let work = || paths.work_in(Some(cache.path().to_owned())).unwrap();
        let first = work();
        assert!(first.starts_with(cache.path().join("maestro/work")), "{}", first.display());
        assert_eq!(work(), first, "it stays the same");
        assert_eq!(mode(&paths.id()), 0o600);
        // As another container has it.
        fs::remove_file(paths.id()).unwrap();
        assert_ne!(work(), first);
        let other = tempfile::tempdir().unwrap();
        let moved = Paths::of_project(other.path()).unwrap();
        fs::copy(paths.id(), moved.id()).unwrap();
        assert_ne!(moved.work_in(Some(cache.path().to_owned())).unwrap(), work());
    }

    #[test]
    fn a_cache_in_the_project_itself_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::of_project(&dir.path().join("app")).unwrap();
        let near = paths.root().join("work");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("app"), &link).unwrap();
        for cache in [dir.path().join("app"), dir.path().join("app/.cache"), link.join(".cache")] {
            assert_eq!(paths.work_in(Some(cache)).unwrap(), near);
        }
        assert_eq!(paths.work_in(None).unwrap(), near);
        assert!(!paths.id().exists(), "nothing is named by it");
        let beside = dir.path().join("app.cache");
        assert!(paths.work_in(Some(beside.clone())).unwrap().starts_with(&beside));
    }
}
