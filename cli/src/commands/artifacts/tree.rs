//! A directory artifact written out. A tree's bytes are verified, and still its paths are not
//! trusted: whoever made it may have meant another place.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;

use super::fetch;
use crate::client::Client;
use crate::error::Error;

/// Writes the tree to a directory that is not there yet; gives the number of its entries.
///
/// It is written beside its place and moved there when it is whole. Links come last, so that no
/// file is written through one.
pub async fn write(client: &Client, digest: Digest, path: &Path) -> Result<usize, Error> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(Error::usage(
            format!("{} exists already", path.display()),
            "name a directory that does not",
        ));
    }
    let tree: Tree = serde_json::from_slice(&fetch::to_memory(client, digest).await?)?;
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = tempfile::Builder::new()
        .prefix(".maestro-")
        .tempdir_in(parent)
        .map_err(Error::file("write in", parent))?;
    for entry in &tree.entries {
        let to = below(place.path(), entry)?;
        make_parent(&to)?;
        if let TreeEntryKind::File { digest, executable, .. } = &entry.kind {
            fetch::to_file(client, *digest, &to).await?;
            if *executable {
                fs::set_permissions(&to, fs::Permissions::from_mode(0o755))
                    .map_err(Error::file("write", &to))?;
            }
        }
    }
    for entry in &tree.entries {
        if let TreeEntryKind::Link { target } = &entry.kind {
            let to = below(place.path(), entry)?;
            stays_below(&entry.path, target)?;
            symlink(target, &to).map_err(Error::file("write", &to))?;
        }
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))
        .map_err(Error::file("write", path))?;
    fs::rename(place.path(), path).map_err(Error::file("write", path))?;
    // It has its name now, and there is nothing to take away.
    let _ = place.keep();
    Ok(tree.entries.len())
}

fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::file("make", parent)),
        None => Ok(()),
    }
}

fn below(place: &Path, entry: &TreeEntry) -> Result<PathBuf, Error> {
    let path = Path::new(&entry.path);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && !entry.path.is_empty() { Ok(place.join(path)) } else { Err(strays(&entry.path)) }
}

/// A link's target must not leave the directory that the link lies in.
fn stays_below(path: &str, target: &str) -> Result<(), Error> {
    let mut depth = path.split('/').count().saturating_sub(1);
    for part in Path::new(target).components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return Err(strays(path)),
        }
    }
    Ok(())
}

fn strays(path: &str) -> Error {
    Error::Usage {
        message: format!("the artifact holds {path:?}, which would lie outside of its directory"),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, target: &str) -> bool {
        stays_below(path, target).is_ok()
    }

    #[test]
    fn nothing_of_a_tree_lies_outside_of_it() {
        let entry = |path: &str| TreeEntry {
            path: path.into(),
            kind: TreeEntryKind::Link { target: "x".into() },
        };
        let place = Path::new("/place");
        assert_eq!(below(place, &entry("a/b")).unwrap(), Path::new("/place/a/b"));
        for path in ["", "../a", "/a", "a/../../b", "."] {
            assert!(below(place, &entry(path)).is_err(), "{path:?} was taken");
        }
    }

    #[test]
    fn a_link_stays_within_its_tree() {
        assert!(link("a/b", "../c"));
        assert!(link("a", "b/../c"));
        assert!(!link("a", "../c"));
        assert!(!link("a/b", "../../c"));
        assert!(!link("a", "/etc/passwd"));
    }
}
