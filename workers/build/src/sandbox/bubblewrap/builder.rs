//! The words for buildah, which makes sandboxes of its own for the commands of a Dockerfile.
//!
//! It differs from a step's in that there is a root with the few capabilities that layers and mounts take.
//! The files are as few: what those commands find when they get out of buildah's own sandbox is this one.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ETC, HELPER, HOST_NAME, Words};
use crate::environment::Places;
use crate::sandbox::view::View;

/// What buildah does not work without. The commands of a Dockerfile have fewer.
const CAPABILITIES: [&str; 12] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
    "CAP_SYS_CHROOT",
];

/// What says where images come from; none of it secret.
const CONTAINERS: [&str; 4] =
    ["policy.json", "registries.conf", "registries.conf.d", "registries.d"];

/// Where systems keep certificates of registries, and keys beside them.
const CERTIFICATES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// The most certificates that are shown.
const CERTIFICATES_MAX: usize = 100;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// What a program that makes sandboxes sees of an execution, and what makes it a root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it reads.
    pub(crate) read: Vec<PathBuf>,
    /// What it writes too.
    pub(crate) write: Vec<PathBuf>,
    /// What goes before bubblewrap where the worker is not root: a program with its arguments that makes
    /// a namespace in which it is.
    pub(crate) before: Vec<String>,
    /// Whether it has the keys for registries that its host keeps.
    pub(crate) has_keys: bool,
}

impl Seen {
    /// What starts bubblewrap.
    pub(in crate::sandbox) fn start(&self, bubblewrap: &Path) -> Vec<String> {
        let bubblewrap = bubblewrap.to_string_lossy().into_owned();
        self.before.iter().cloned().chain([bubblewrap]).collect()
    }
}

/// Writes what the sandbox has of its own, below `directory`.
pub(in crate::sandbox) fn prepare_builder(directory: &Path) -> std::io::Result<()> {
    fs::write(directory.join("passwd"), PASSWD)?;
    fs::write(directory.join("group"), GROUP)
}

/// The words before `--`, without the directory that the program begins in.
pub(in crate::sandbox) fn args_of_builder(
    view: &View,
    seen: &Seen,
    places: &Places,
    (own, helper): (&Path, &Path),
) -> Vec<String> {
    let mut words = Words(Vec::new());
    words.say(&["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
    words.say(&["--die-with-parent", "--new-session", "--as-pid-1", "--hostname", HOST_NAME]);
    words.say(&["--cap-drop", "ALL"]);
    for name in CAPABILITIES {
        words.say(&["--cap-add", name]);
    }
    words.processes();
    words.say(&["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]);
    words.temporary(places);
    words.say(&["--size", super::TMP_BYTES, "--tmpfs", "/run"]);
    words.host(&view.read);
    for name in ETC {
        let path = PathBuf::from("/etc").join(name);
        words.bind("--ro-bind-try", &path, &path);
    }
    words.registries(seen.has_keys);
    words.bind("--ro-bind", &own.join("passwd"), Path::new("/etc/passwd"));
    words.bind("--ro-bind", &own.join("group"), Path::new("/etc/group"));
    for path in &seen.read {
        words.bind("--ro-bind", path, path);
    }
    for path in &seen.write {
        words.bind("--bind", path, path);
    }
    words.bind("--ro-bind", helper, Path::new(HELPER));
    words.say(&["--remount-ro", "/"]);
    words.0
}

impl Words {
    /// What the host says of registries: keys only where it `has_keys`.
    fn registries(&mut self, has_keys: bool) {
        for name in CONTAINERS {
            let path = Path::new("/etc/containers").join(name);
            self.bind("--ro-bind-try", &path, &path);
        }
        for directory in CERTIFICATES.map(Path::new) {
            if has_keys {
                self.bind("--ro-bind-try", directory, directory);
                continue;
            }
            for path in authorities(directory) {
                self.bind("--ro-bind-try", &path, &path);
            }
        }
    }
}

/// The certificates of authorities, which are called `*.crt`.
fn authorities(directory: &Path) -> Vec<PathBuf> {
    let below = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    let files = below(directory).flat_map(|registry| below(&registry.path()));
    let files = files.map(|file| file.path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "crt"))
        .take(CERTIFICATES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildah_gets_what_it_is_given_and_no_directory_of_the_steps_besides() {
        let places = Places::below(Path::new("/scratch"));
        let seen =
            Seen { read: vec!["/read".into()], write: vec!["/write".into()], ..Seen::default() };
        let view = View { read: vec!["/usr".into()], write: vec!["/scratch/workspace".into()] };
        let words = args_of_builder(&view, &seen, &places, (Path::new("/own"), Path::new("/h")));
        let has = |how: &str, path: &str| words.windows(2).any(|pair| pair == [how, path]);
        assert!(has("--ro-bind", "/read") && has("--bind", "/write"), "{words:?}");
        assert!(!words.iter().any(|word| word == "/scratch/workspace"), "{words:?}");
    }

    #[test]
    fn of_registries_certificates_are_shown_and_keys_are_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let registry = directory.path().join("registry.example:5000");
        fs::create_dir(&registry).expect("made");
        for name in ["ca.crt", "client.cert", "client.key"] {
            fs::write(registry.join(name), "x").expect("written");
        }
        assert_eq!(authorities(directory.path()), [registry.join("ca.crt")]);
    }
}
