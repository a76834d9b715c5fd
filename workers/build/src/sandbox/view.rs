//! Which files of its host a step reads, and which it writes; all others are not there for it.

use std::path::{Path, PathBuf};

use crate::environment::Places;
use crate::settings::Settings;

/// Where systems keep programs and libraries.
const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/gnu/store",
];

/// What programs read of `/etc`, none of it secret: a worker that is root would else show what only
/// root reads, as the keys beside certificates.
pub(super) const ETC: [&str; 33] = [
    "alternatives",
    "apache-maven",
    "fonts",
    "gai.conf",
    "gitconfig",
    "gradle",
    "hosts",
    "java",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "maven",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "protocols",
    "python3",
    "resolv.conf",
    "services",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
    "xml",
];

/// Directories that hold more than programs: below them only what is named is shown.
const PRIVATE: [&str; 3] = [".cargo", ".local", ".config"];

/// What a step reads and writes of its host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Read and executed.
    pub(super) read: Vec<PathBuf>,
    /// Written too.
    pub(super) write: Vec<PathBuf>,
}

impl View {
    /// What a step of a worker with these settings sees; `more` is what the worker's host adds.
    pub(super) fn of(
        settings: &Settings,
        more: &[PathBuf],
        places: &Places,
        caches: &[PathBuf],
    ) -> Self {
        let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(std::env::split_paths(&settings.path).flat_map(|path| around(&path)));
        let named = settings.host.values().map(PathBuf::from).filter(|path| path.is_absolute());
        read.extend(named.chain(more.iter().cloned()));
        read.retain(|path| path.exists() && path.parent().is_some());
        read.sort_unstable();
        read.dedup();
        let mut write: Vec<PathBuf> =
            [&places.workspace, &places.home, &places.temporary].map(Clone::clone).into();
        write.extend(places.output.parent().map(Path::to_owned));
        write.extend(caches.iter().cloned());
        Self { read, write }
    }
}

/// A directory of programs, with what the programs in it need: where toolchains are kept in a
/// directory of their own, all of that.
fn around(path: &Path) -> Vec<PathBuf> {
    if !path.is_absolute() {
        return Vec::new();
    }
    let is_programs = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| matches!(name, "bin" | "sbin" | "shims"));
    let whole = path.parent().filter(|parent| is_programs && !is_private(parent));
    let real = std::fs::canonicalize(path).ok();
    [Some(path.to_owned()), whole.map(Path::to_owned), real].into_iter().flatten().collect()
}

/// Whether a directory is somebody's home, the system's root, or keeps secrets beside programs.
fn is_private(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let parent = path.parent().and_then(Path::to_str).unwrap_or_default();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    PRIVATE.contains(&name)
        || path.parent().is_none()
        || path == Path::new("/root")
        || parent == "/home"
        || home.as_deref() == Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_seen_as_a_whole_and_a_home_is_not() {
        let seen = |path: &str| -> Vec<String> {
            around(Path::new(path)).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(seen("/x/.pyenv/shims"), ["/x/.pyenv/shims", "/x/.pyenv"]);
        let of_a_home = format!("/home{}", "/u/bin");
        assert_eq!(seen(&of_a_home), std::slice::from_ref(&of_a_home));
        assert_eq!(seen("/x/.cargo/bin"), ["/x/.cargo/bin"]);
        assert_eq!(seen("/x/.local/bin"), ["/x/.local/bin"]);
        assert!(seen("relative/bin").is_empty());
    }

    #[test]
    fn the_systems_root_is_never_shown_as_a_whole() {
        let settings = Settings { path: "/bin".into(), ..Settings::default() };
        let places = Places::below(Path::new("/nowhere"));
        let view = View::of(&settings, &[PathBuf::from("/")], &places, &[]);
        assert!(!view.read.contains(&PathBuf::from("/")), "{view:?}");
        assert!(view.read.contains(&PathBuf::from("/usr")));
    }
}
