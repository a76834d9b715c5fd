//! The words that bubblewrap is started with: namespaces of its own, and of the host's files those
//! that a step needs.

mod builder;

use std::fs;
use std::path::{Path, PathBuf};

use super::view::{ETC, View};
use crate::environment::Places;
pub(crate) use builder::Seen;
pub(super) use builder::{args_of_builder, prepare_builder};

/// The user and group that a step is, whoever the worker is.
const USER: &str = "1000";
/// The name of the sandbox' host.
const HOST_NAME: &str = "maestro";
/// Where the socket lies that leads to the proxy.
pub(super) const EGRESS: &str = "/run/maestro/egress";
/// Where the helper lies, which is the first process.
pub(super) const HELPER: &str = "/run/maestro/helper";
/// The size of `/tmp` where it cannot be a directory of the step's, in bytes.
const TMP_BYTES: &str = "1073741824";

/// Who there is in the sandbox.
const PASSWD: &str = "maestro:x:1000:1000::/nonexistent:/bin/sh\n\
                      nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "maestro:x:1000:\nnogroup:x:65534:\n";

/// What a sandbox has of the network.
#[derive(Default)]
pub(super) struct Net<'a> {
    /// Nothing but a loopback of its own.
    pub(super) own: bool,
    /// The socket of the proxy that leads out of it.
    pub(super) exit: Option<&'a Path>,
}

/// What of `/proc` is the kernel's own and may be read: who is root outside could write it, whatever it is
/// called within.
const KERNELS: [&str; 9] =
    ["acpi", "bus", "driver", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger"];

/// What of `/proc` tells of other processes' memory and keys.
const TELLING: [&str; 12] = [
    "kcore",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "pagetypeinfo",
    "sched_debug",
    "slabinfo",
    "timer_list",
    "vmallocinfo",
];

/// Writes what the sandbox has of its own, below `directory`, which the step does not see.
pub(super) fn prepare(directory: &Path) -> std::io::Result<()> {
    fs::write(directory.join("passwd"), PASSWD)?;
    fs::write(directory.join("group"), GROUP)
}

/// The words before `--`, without the directory that the step begins in.
pub(super) fn args(
    view: &View,
    places: &Places,
    net: Net<'_>,
    (own, helper): (&Path, &Path),
) -> Vec<String> {
    let mut words = Words(Vec::new());
    words.say(&["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    words.say(&["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--as-pid-1"]);
    words.say(&["--uid", USER, "--gid", USER, "--hostname", HOST_NAME, "--cap-drop", "ALL"]);
    if net.own {
        words.say(&["--unshare-net"]);
    }
    words.processes();
    words.say(&["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]);
    words.temporary(places);
    words.host(&view.read);
    for name in ETC {
        let path = PathBuf::from("/etc").join(name);
        words.bind("--ro-bind-try", &path, &path);
    }
    words.bind("--ro-bind", &own.join("passwd"), Path::new("/etc/passwd"));
    words.bind("--ro-bind", &own.join("group"), Path::new("/etc/group"));
    for path in &view.write {
        words.bind("--bind", path, path);
    }
    if let Some(socket) = net.exit {
        words.bind("--bind", socket, Path::new(EGRESS));
    }
    words.bind("--ro-bind", helper, Path::new(HELPER));
    words.say(&["--remount-ro", "/"]);
    words.0
}

struct Words(Vec<String>);

impl Words {
    fn say(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }

    fn bind(&mut self, how: &str, from: &Path, to: &Path) {
        self.say(&[how, &from.to_string_lossy(), &to.to_string_lossy()]);
    }

    /// A `/proc` of its own processes, with nothing of the kernel's to write to.
    fn processes(&mut self) {
        self.say(&["--proc", "/proc", "--dev", "/dev"]);
        for name in KERNELS {
            let path = Path::new("/proc").join(name);
            self.bind("--ro-bind-try", &path, &path);
        }
        for name in TELLING {
            let path = Path::new("/proc").join(name);
            if path.exists() {
                self.bind("--ro-bind", Path::new("/dev/null"), &path);
            }
        }
    }

    /// `/tmp` is the step's own directory, unless its directories lie below the host's `/tmp`.
    fn temporary(&mut self, places: &Places) {
        if places.temporary.starts_with("/tmp") {
            self.say(&["--size", TMP_BYTES, "--perms", "1777", "--tmpfs", "/tmp"]);
        } else {
            self.bind("--bind", &places.temporary, Path::new("/tmp"));
        }
        self.say(&["--dir", "/var", "--symlink", "/tmp", "/var/tmp"]);
    }

    /// What is read of the host: a link as a link, and nothing that lies below what is shown already.
    fn host(&mut self, read: &[PathBuf]) {
        let mut shown: Vec<&PathBuf> = Vec::new();
        for path in read {
            if shown.iter().any(|above| path.starts_with(above)) {
                continue;
            }
            shown.push(path);
            match fs::read_link(path) {
                Ok(target) => {
                    self.say(&["--symlink", &target.to_string_lossy(), &path.to_string_lossy()]);
                    if let Ok(real) = fs::canonicalize(path)
                        && !read.iter().any(|other| *other != *path && real.starts_with(other))
                    {
                        self.bind("--ro-bind-try", &real, &real);
                    }
                }
                Err(_) => self.bind("--ro-bind-try", path, path),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(own: bool) -> Vec<String> {
        let view = View { read: vec!["/usr".into(), "/usr/bin".into()], write: vec!["/w".into()] };
        let places = Places::below(Path::new("/scratch"));
        args(&view, &places, Net { own, exit: None }, (Path::new("/own"), Path::new("/helper")))
    }

    #[test]
    fn a_network_of_its_own_is_asked_for_where_it_has_one() {
        let cut = |own: bool| words(own).contains(&"--unshare-net".to_owned());
        assert!(cut(true));
        assert!(!cut(false));
    }

    #[test]
    fn what_lies_below_a_shown_directory_is_not_shown_again() {
        let words = words(true);
        assert!(!words.contains(&"/usr/bin".to_owned()), "{words:?}");
        let last = words.iter().rev().take(2).collect::<Vec<_>>();
        assert_eq!(last, ["/", "--remount-ro"], "the root is closed when all is in place");
    }
}
