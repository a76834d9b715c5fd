//! A repository that is named by its path on the worker's host: `file:///…`, and only below the
//! directories that the worker's operator allows.
//!
//! What is compared is where the path leads once every link is followed, and git is given that and not
//! what the author wrote. A repository that keeps its objects elsewhere is held to the same.

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What such an address begins with.
pub(super) const SCHEME: &str = "file://";
/// The most places that a repository takes its objects from, one behind the other.
const PLACES_MAX: usize = 16;
/// The most bytes of a file that names another place.
const NAMING_BYTES_MAX: u64 = 64 << 10;

/// The address of the repository that `url` names, by the path that it really has; nothing where it is, or
/// takes objects from, below none of `roots`. Whether something is there outside of them is not told.
pub(super) fn resolved(url: &str, roots: &[PathBuf]) -> Option<String> {
    let path = decoded(url.strip_prefix(SCHEME)?)?;
    let allowed = Allowed(roots.iter().filter_map(|root| fs::canonicalize(root).ok()).collect());
    let given = PathBuf::from(std::ffi::OsString::from_vec(path));
    if !given.is_absolute() {
        return None;
    }
    // As git looks for it.
    let mut named = given.clone().into_os_string();
    named.push(".git");
    let found = allowed.real(&given).or_else(|| allowed.real(Path::new(&named)))?;
    let directory = match fs::symlink_metadata(found.join(".git")) {
        Ok(_) => allowed.directory_of(&found.join(".git"))?,
        Err(_) => found,
    };
    allowed.keeps_to_itself(&directory)?;
    Some(format!("{SCHEME}{}", encoded(directory.as_os_str().as_bytes())))
}

/// Directories that repositories may lie in.
struct Allowed(Vec<PathBuf>);

impl Allowed {
    /// Where a path leads, if that is in one of them.
    fn real(&self, path: &Path) -> Option<PathBuf> {
        let real = fs::canonicalize(path).ok()?;
        self.0.iter().any(|root| real.starts_with(root)).then_some(real)
    }

    /// What a `.git` is: a directory, or a file that names one.
    fn directory_of(&self, path: &Path) -> Option<PathBuf> {
        let real = self.real(path)?;
        if real.is_dir() {
            return Some(real);
        }
        let text = small(&real)?;
        let named = text.strip_prefix("gitdir:")?.trim();
        self.real(&real.parent()?.join(named))
    }

    /// Whether all places that a repository takes objects and names from are in one of the directories too.
    fn keeps_to_itself(&self, directory: &Path) -> Option<()> {
        let common = directory.join("commondir");
        let whole = match fs::symlink_metadata(&common) {
            Ok(_) => self.real(&directory.join(small(&self.real(&common)?)?.trim()))?,
            Err(_) => directory.to_owned(),
        };
        for name in ["HEAD", "refs", "packed-refs", "config", "shallow"] {
            self.is_none_or_in(&whole.join(name))?;
        }
        let mut open = vec![whole.join("objects")];
        for _ in 0..PLACES_MAX {
            let Some(objects) = open.pop() else { return Some(()) };
            for name in ["", "pack", "info", "info/alternates"] {
                self.is_none_or_in(&objects.join(name))?;
            }
            let Some(others) = small(&objects.join("info/alternates")) else { continue };
            let others = others.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            open.extend(others.map(|other| objects.join(other)));
        }
        open.is_empty().then_some(())
    }

    fn is_none_or_in(&self, path: &Path) -> Option<()> {
        match fs::symlink_metadata(path) {
            Ok(_) => self.real(path).map(|_| ()),
            Err(_) => Some(()),
        }
    }
}

fn small(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(NAMING_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The bytes that a text with `%` means (RFC 3986, section 2.1); nothing where it is in no form.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let (byte, behind) = match first {
            b'%' => {
                let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
                (byte, behind.get(2..)?)
            }
            byte => (*byte, behind),
        };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
        rest = behind;
    }
    Some(bytes)
}

fn encoded(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// `allowed/repo`, a bare repository, and `private/repo` beside it.
    fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let whole = fs::canonicalize(directory.path()).expect("a path");
        let [allowed, private] = ["allowed", "private"].map(|name| whole.join(name));
        for root in [&allowed, &private] {
            fs::create_dir_all(root.join("repo/objects/info")).expect("made");
            fs::create_dir(root.join("repo/refs")).expect("made");
            fs::write(root.join("repo/HEAD"), "ref: refs/heads/main\n").expect("written");
        }
        (directory, allowed, private)
    }

    #[test]
    fn a_repository_is_found_by_every_way_to_write_its_path() {
        let (_directory, allowed, _) = places();
        let roots = [allowed.clone()];
        let expected = format!("file://{}/repo", allowed.display());
        fs::rename(allowed.join("repo"), allowed.join("repo.git")).expect("renamed");
        let bare = format!("{expected}.git");
        for url in [
            &bare,
            &expected,
            &format!("{bare}/"),
            &bare.replace("repo", "%72e%70o"),
            &bare.replace("/repo", "//./repo"),
        ] {
            assert_eq!(resolved(url, &roots).as_ref(), Some(&bare), "{url}");
        }
        fs::create_dir(allowed.join("a b")).expect("made");
        fs::rename(allowed.join("repo.git"), allowed.join("a b/.git")).expect("renamed");
        let url = format!("file://{}/a b", allowed.display());
        let within = format!("file://{}/a%20b/.git", allowed.display());
        assert_eq!(resolved(&url, &roots), Some(within));
    }

    #[test]
    fn a_path_that_leads_out_of_the_directories_is_refused_however_it_is_written() {
        let (_directory, allowed, private) = places();
        symlink(&private, allowed.join("link")).expect("linked");
        let roots = [allowed.clone()];
        let (inside, outside) = (allowed.display().to_string(), private.display().to_string());
        for url in [
            format!("file://{outside}/repo"),
            format!("file://{inside}/../private/repo"),
            format!("file://{inside}/%2e%2e/private/repo"),
            format!("file://{inside}%2f..%2fprivate/repo"),
            format!("file://{inside}/link/repo"),
            format!("file://{inside}/none"),
            format!("file://{inside}/repo%00"),
            format!("file://{inside}/repo%"),
            format!("file://{inside}/repo%+1"),
            format!("file://localhost{inside}/repo"),
            format!("file://host{inside}/repo"),
            "file://allowed/repo".into(),
            "file://./repo".into(),
            "file://~/repo".into(),
            "file://".into(),
            format!("{inside}/repo"),
        ] {
            assert_eq!(resolved(&url, &roots), None, "{url}");
            assert_eq!(resolved(&url, &[]), None, "{url}");
        }
        assert_eq!(resolved(&format!("file://{inside}/repo"), &[]), None);
    }

    #[test]
    fn a_repository_that_takes_its_objects_from_outside_is_refused() {
        let (_directory, allowed, private) = places();
        let roots = [allowed.clone()];
        let url = format!("file://{}/repo", allowed.display());
        let repo = allowed.join("repo");
        let alternates = repo.join("objects/info/alternates");
        for (text, is_fine) in [
            (format!("{}/repo/objects\n", private.display()), false),
            ("../../../private/repo/objects\n".into(), false),
            ("../objects\n# a remark\n".into(), false),
            (String::new(), true),
        ] {
            fs::write(&alternates, &text).expect("written");
            assert_eq!(resolved(&url, &roots).is_some(), is_fine, "{text}");
        }
        fs::remove_dir_all(repo.join("objects")).expect("removed");
        symlink(private.join("repo/objects"), repo.join("objects")).expect("linked");
        assert_eq!(resolved(&url, &roots), None);
        let work = allowed.join("work");
        fs::create_dir(&work).expect("made");
        fs::write(work.join(".git"), format!("gitdir: {}/repo\n", private.display()))
            .expect("written");
        assert_eq!(resolved(&format!("file://{}", work.display()), &roots), None);
    }
}
