//! Directories that a worker keeps for a project's steps, by name: what package managers fetched, and
//! whatever else a step wants to find again.
//!
//! A step that names its caches holds each alone while it runs, and finds no other. One that says
//! nothing of it finds what the package managers of all steps share, which lock what they need to
//! themselves. None is part of a step's key: what is in them changes how long a step takes.

mod bound;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use maestro_kit::log::LogSink;
use maestro_schemas::beside::is_cache_name;
use maestro_schemas::task::Task;

use crate::environment::Variables;
use crate::error::Error;
use crate::settings::Settings;

/// The longest that a step waits for its caches.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How often it looks whether one is free.
const LOOK: Duration = Duration::from_millis(100);

/// The most bytes of a cache once nobody holds it.
const BYTES_MAX: u64 = 8 << 30;

/// The most files of a cache once nobody holds it.
const FILES_MAX: usize = 500_000;

/// Caches that package managers are told of, with the variables that name directories in them.
const KNOWN: [(&str, &[(&str, &str)]); 4] = [
    ("cargo", &[("CARGO_HOME", "cargo")]),
    ("go", &[("GOMODCACHE", "go-mod"), ("GOCACHE", "go-build")]),
    ("npm", &[("npm_config_cache", "npm")]),
    ("pip", &[("PIP_CACHE_DIR", "pip")]),
];

/// The caches of one execution; the locks of those that it named go with it.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    /// What the step may write to.
    pub(crate) directories: Vec<PathBuf>,
    /// Their names.
    pub(crate) names: Vec<String>,
    /// Where the step finds them.
    pub(crate) variables: Variables,
    held: Vec<(PathBuf, File)>,
}

impl Caches {
    /// Opens what a step says, and waits until nobody else holds it.
    pub(crate) async fn open(
        settings: &Settings,
        task: &Task,
        log: &LogSink,
    ) -> Result<Self, Error> {
        let Some(root) = &settings.caches else { return Ok(Self::default()) };
        let Some(names) = &task.beside.caches else {
            let shared = Self::of_project(settings, task);
            for own in &shared.directories {
                make(own).await?;
            }
            return Ok(shared);
        };
        let mut names: Vec<&String> = names.iter().collect();
        // One order for all, so that no two wait for each other.
        names.sort_unstable();
        names.dedup();
        let mut caches = Self::default();
        for name in names {
            if !is_cache_name(name) {
                return Err(Error::Parameters("a cache has no usable name".into()));
            }
            let named = root.join(".named").join(task.project.as_str());
            let directory = named.join(name);
            make(&directory).await?;
            let lock = named.join(format!("{name}.lock"));
            caches.held.push((directory.clone(), hold(&lock, name, log).await?));
            caches.tell(name, &directory);
            caches.directories.push(directory);
            caches.names.push(name.clone());
        }
        Ok(caches)
    }

    /// What the package managers of all steps of a project share, of which nothing is made.
    pub(crate) fn of_project(settings: &Settings, task: &Task) -> Self {
        let mut caches = Self::default();
        let Some(root) = &settings.caches else { return caches };
        let own = root.join(task.project.as_str());
        for (name, variables) in KNOWN {
            caches.names.push(name.to_owned());
            for (variable, folder) in variables {
                caches.set(variable, &own.join(folder));
            }
        }
        caches.directories.push(own);
        caches
    }

    fn tell(&mut self, name: &str, directory: &Path) {
        let word = name.to_ascii_uppercase().replace('-', "_");
        self.set(&format!("MAESTRO_CACHE_{word}"), directory);
        for (_, variables) in KNOWN.iter().filter(|(known, _)| *known == name) {
            for (variable, folder) in *variables {
                self.set(variable, &directory.join(folder));
            }
        }
    }

    fn set(&mut self, variable: &str, path: &Path) {
        self.variables.insert(variable.to_owned(), path.to_string_lossy().into_owned());
    }

    /// Lets go what was not used for the longest, where a cache has grown beyond its bounds, and then
    /// the caches themselves. That it cannot be done changes nothing of how the step ended.
    pub(crate) async fn close(self) {
        let work = move || {
            for (directory, lock) in self.held {
                bound::keep_within(&directory, (BYTES_MAX, FILES_MAX));
                drop(lock);
            }
        };
        if tokio::task::spawn_blocking(work).await.is_err() {
            tracing::warn!("caches were not looked through");
        }
    }
}

async fn make(directory: &Path) -> Result<(), Error> {
    let made = tokio::fs::create_dir_all(directory).await;
    made.map_err(|source| Error::files("cannot make", directory, source))
}

/// Waits for a cache's lock, which its system lets go with the worker at the latest.
async fn hold(path: &Path, name: &str, log: &LogSink) -> Result<File, Error> {
    let open = File::options().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(|source| Error::files("cannot open", path, source))?;
    let began = tokio::time::Instant::now();
    let mut is_told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < WAIT_MAX => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::CacheBusy { name: name.to_owned(), waited: WAIT_MAX });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::files("cannot lock", path, source));
            }
        }
        if !is_told {
            log.line(&format!("waits for the cache {name}, which another step holds")).await;
            is_told = true;
        }
        tokio::time::sleep(LOOK).await;
    }
}
