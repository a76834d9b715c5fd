//! The library links of the Postgres that npm carries.
//!
//! An npm package cannot hold symbolic links, so its own lists them in `pg-symlinks.json` and
//! makes them after the install, unless install scripts are off. Then we make them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::Error;

const LIST: &str = "pg-symlinks.json";
const LINKS_MAX: usize = 1000;

#[derive(Deserialize)]
struct Link {
    source: String,
    target: String,
}

/// Makes the links that are missing in the package that holds this bin directory, and says how
/// many that were. A Postgres that is not npm's is left alone.
pub fn complete(bin: &Path) -> Result<usize, Error> {
    let Some(root) = bin.parent() else { return Ok(0) };
    let list = root.join(LIST);
    let Ok(bytes) = fs::read(&list) else { return Ok(0) };
    let links: Vec<Link> =
        serde_json::from_slice(&bytes).map_err(|source| Error::Content { path: list, source })?;
    let mut made = 0;
    for link in links.iter().take(LINKS_MAX) {
        if let (Some(source), Some(target)) =
            (inside(root, &link.source), inside(root, &link.target))
        {
            made += usize::from(make(&source, &target)?);
        }
    }
    Ok(made)
}

/// The list's paths begin at the package, we begin at its `native` directory; nothing outside.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path.strip_prefix("native/").unwrap_or(path));
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    plain.then(|| root.join(path))
}

/// Links to a file of the same directory, by its name alone, so that the whole may be moved.
fn make(source: &Path, target: &Path) -> Result<bool, Error> {
    let name = source.file_name().unwrap_or_default();
    if target.exists() || !source.exists() || source.parent() != target.parent() {
        return Ok(false);
    }
    symlink(name, target).map_err(Error::file("link", target))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_links_are_made_once_and_none_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("native");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("lib")).unwrap();
        fs::write(root.join("lib/libpq.so.5.17"), "library").unwrap();
        let list = r#"[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"},
                       {"source":"native/lib/libpq.so.5.17","target":"../outside"}]"#;
        fs::write(root.join(LIST), list).unwrap();
        assert_eq!(complete(&root.join("bin")).unwrap(), 1);
        assert_eq!(complete(&root.join("bin")).unwrap(), 0);
        assert_eq!(fs::read_to_string(root.join("lib/libpq.so.5")).unwrap(), "library");
        assert!(!dir.path().join("outside").exists());
    }

    #[test]
    fn a_postgres_of_the_system_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(complete(&dir.path().join("bin")).unwrap(), 0);
    }
}
