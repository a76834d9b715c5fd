//! Where a file may be put below a directory that others have filled: never through a link.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::check::check_path;
use crate::store;

/// Makes places below one directory, while nothing else changes it.
#[derive(Debug)]
pub struct Placer {
    root: PathBuf,
    /// Directories known to be directories and no links.
    known: HashSet<PathBuf>,
}

impl Placer {
    /// Places below `root`, an existing directory that the caller trusts.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), known: HashSet::from([root.to_owned()]) }
    }

    /// A free place for a file at `path`: its directories are made, and a file or link that stood
    /// there is removed. Refused where a directory of it is a link or a file, or where it is a
    /// directory itself.
    pub fn file(&mut self, path: &str) -> Result<PathBuf, Error> {
        check_path(path)?;
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent)?;
        }
        let place = self.root.join(path);
        match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(place),
            Err(source) => Err(store::Error::file("cannot look at", &place, source).into()),
            Ok(meta) if meta.is_dir() => Err(Error::Blocked {
                problem: "a directory is where a file has to go",
                path: place,
            }),
            Ok(_) => match fs::remove_file(&place) {
                Ok(()) => Ok(place),
                Err(source) => Err(store::Error::file("cannot replace", &place, source).into()),
            },
        }
    }

    /// The directory at `path`, made if it is not there. Refused where it, or one above it, is a
    /// link or a file.
    pub fn directory(&mut self, path: &str) -> Result<PathBuf, Error> {
        check_path(path)?;
        let mut place = self.root.clone();
        for name in path.split('/') {
            place.push(name);
            if !self.known.contains(&place) {
                real_directory(&place)?;
                self.known.insert(place.clone());
            }
        }
        Ok(place)
    }
}

fn real_directory(place: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(place) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Error::Blocked {
            problem: "a file or link is where a directory has to be",
            path: place.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(place).map_err(|source| {
                store::Error::file("cannot make the directory", place, source).into()
            })
        }
        Err(source) => Err(store::Error::file("cannot look at", place, source).into()),
    }
}
