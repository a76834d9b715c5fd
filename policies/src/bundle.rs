//! Bundles: the policies of one directory, its data, and the digest over both.
//!
//! A bundle is every `*.rego` below the directory and a `data.json` at its top. Other files are passed
//! over, and so are names that begin with a dot: a mounted ConfigMap keeps its own links there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use maestro_schemas::digest::Digest;

use crate::fault::Fault;

/// A bundle has no more files.
pub const FILES_MAX: usize = 256;
/// A file has no more bytes.
pub const FILE_BYTES_MAX: u64 = 256 << 10;
/// All files together have no more bytes.
pub const BYTES_MAX: u64 = 4 << 20;
/// Directories lie no deeper in each other.
pub const DEPTH_MAX: usize = 8;
/// A directory has no more entries, of whatever kind.
pub const ENTRIES_MAX: usize = 4096;
/// The name of the data beside the policies.
pub const DATA: &str = "data.json";

/// What comes with Maestro.
const SHIPPED: [(&str, &str); 9] = [
    ("cost.rego", include_str!("../rego/cost.rego")),
    ("cost_test.rego", include_str!("../rego/cost_test.rego")),
    ("data.json", include_str!("../rego/data.json")),
    ("promotion.rego", include_str!("../rego/promotion.rego")),
    ("promotion_test.rego", include_str!("../rego/promotion_test.rego")),
    ("prompts.rego", include_str!("../rego/prompts.rego")),
    ("prompts_test.rego", include_str!("../rego/prompts_test.rego")),
    ("routing.rego", include_str!("../rego/routing.rego")),
    ("routing_test.rego", include_str!("../rego/routing_test.rego")),
];

const POLICY: &str = ".rego";
const TESTS: &str = "_test.rego";

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, String>,
    digest: Digest,
}

impl Bundle {
    /// Reads a directory.
    pub fn read(directory: &Path) -> Result<Self, Fault> {
        let mut paths = Vec::new();
        list(directory, "", 0, &mut paths)?;
        let mut files = BTreeMap::new();
        let mut bytes = 0;
        for (name, path) in paths {
            let text = text(&name, &path)?;
            bytes += text.len() as u64;
            if bytes > BYTES_MAX {
                let what = format!("the bundle has more than {BYTES_MAX} bytes up to this file");
                return Err(Fault::of_file(&name, what));
            }
            files.insert(name, text);
        }
        Ok(Self::of(files))
    }

    /// The bundle that comes with Maestro: `policies/rego/`.
    pub fn shipped() -> Self {
        Self::of(SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned())).into())
    }

    /// A bundle of texts by their paths, as `routing.rego` and `data.json`.
    pub fn of(files: BTreeMap<String, String>) -> Self {
        let mut all = Vec::new();
        for part in files.iter().flat_map(|(name, text)| [name, text]) {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        Self { digest: Digest::of(&all), files }
    }

    /// Over all paths and bytes, in the order of the paths.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The policies, by path.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.regos().filter(|(name, _)| !name.ends_with(TESTS))
    }

    /// The policies' tests, by path.
    pub fn tests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.regos().filter(|(name, _)| name.ends_with(TESTS))
    }

    /// The data, where there is some.
    pub fn data(&self) -> Option<&str> {
        self.files.get(DATA).map(String::as_str)
    }

    /// The text of a file.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    fn regos(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(name, _)| name.ends_with(POLICY))
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

fn list(
    directory: &Path,
    below: &str,
    depth: usize,
    paths: &mut Vec<(String, PathBuf)>,
) -> Result<(), Fault> {
    let shown = if below.is_empty() { "." } else { below.trim_end_matches('/') };
    if depth > DEPTH_MAX {
        let what = format!("directories lie more than {DEPTH_MAX} deep in each other");
        return Err(Fault::of_file(shown, what));
    }
    let entries = fs::read_dir(directory).map_err(unreadable(shown))?;
    for (index, entry) in entries.enumerate() {
        let entry = entry.map_err(unreadable(shown))?;
        if index >= ENTRIES_MAX {
            return Err(Fault::of_file(shown, format!("it has more than {ENTRIES_MAX} entries")));
        }
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let (place, path) = (format!("{below}{name}"), entry.path());
        let meta = fs::metadata(&path).map_err(unreadable(&place))?;
        if meta.is_dir() {
            list(&path, &format!("{place}/"), depth + 1, paths)?;
        } else if name.ends_with(POLICY) || place == DATA {
            if paths.len() >= FILES_MAX {
                let what = format!("the bundle has more than {FILES_MAX} files");
                return Err(Fault::of_file(&place, what));
            }
            paths.push((place, path));
        }
    }
    Ok(())
}

fn text(name: &str, path: &Path) -> Result<String, Fault> {
    let meta = fs::metadata(path).map_err(unreadable(name))?;
    if !meta.is_file() {
        return Err(Fault::of_file(name, "it is no plain file"));
    }
    if meta.len() > FILE_BYTES_MAX {
        let what = format!("it has {} bytes; a file has at most {FILE_BYTES_MAX}", meta.len());
        return Err(Fault::of_file(name, what));
    }
    let bytes = fs::read(path).map_err(unreadable(name))?;
    String::from_utf8(bytes).map_err(|error| {
        let what = format!("byte {} is not UTF-8", error.utf8_error().valid_up_to() + 1);
        Fault::of_file(name, what)
    })
}

fn unreadable(name: &str) -> impl FnOnce(io::Error) -> Fault {
    let name = name.to_owned();
    move |error| Fault::of_file(&name, format!("it cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_directory_is_read_with_its_data_and_without_what_is_none_of_its_business() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["a.rego", "b/a_test.rego", "data.json", "README.md", ".git/c.rego", "b/data.json"]
        {
            write(directory.path(), name, name);
        }
        let bundle = Bundle::read(directory.path()).unwrap();
        assert_eq!(bundle.policies().map(|(name, _)| name).collect::<Vec<_>>(), ["a.rego"]);
        assert_eq!(bundle.tests().map(|(name, _)| name).collect::<Vec<_>>(), ["b/a_test.rego"]);
        assert_eq!(bundle.data(), Some("data.json"));
    }

    #[test]
    fn the_digest_tells_every_change_of_path_or_text() {
        let bundle = |files: &[(&str, &str)]| {
            Bundle::of(files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect())
        };
        let one = bundle(&[("a.rego", "bc")]).digest();
        assert_ne!(one, bundle(&[("a.rego", "bd")]).digest());
        assert_ne!(one, bundle(&[("a.regob", "c")]).digest());
        assert_eq!(one, bundle(&[("a.rego", "bc")]).digest());
    }

    #[test]
    fn what_is_too_large_too_deep_or_no_text_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let refused = || Bundle::read(directory.path()).unwrap_err().to_string();
        let long = "#".repeat(FILE_BYTES_MAX as usize + 1);
        write(directory.path(), "long.rego", &long);
        assert!(refused().starts_with("long.rego:1:1: it has 262145 bytes"), "{}", refused());
        fs::write(directory.path().join("long.rego"), [b'a', 0xff]).unwrap();
        assert!(refused().contains("byte 2 is not UTF-8"), "{}", refused());
        fs::remove_file(directory.path().join("long.rego")).unwrap();
        write(directory.path(), &format!("{}a.rego", "d/".repeat(DEPTH_MAX + 1)), "");
        assert!(refused().contains("more than 8 deep"), "{}", refused());
    }
}
