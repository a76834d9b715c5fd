//! Which control groups this process may make, found by making one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use maestro_schemas::sandbox::Limits;

use super::cage::{self, Cage};
use super::{Holder, Trees};

/// The controllers that are used of version 2.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// The directory of version 2 that a worker goes into, so that its own may hold others.
const LEAF: &str = "maestro-worker";

/// What holds executions to their limits here: the best that works.
pub(in super::super) fn detect() -> Holder {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let candidates = [version2(&own, &mounts), version1(&own, &mounts)];
    candidates.into_iter().flatten().find(works).unwrap_or(Holder::Rlimit)
}

/// Whether a group can be made there, after what dead workers left is swept away.
fn works(holder: &Holder) -> bool {
    cage::sweep(holder);
    let limits = Limits { memory_mib: Some(64), processes: Some(64), ..Limits::default() };
    Cage::make(holder, &limits).is_ok_and(|cage| cage.is_some())
}

fn version2(own: &str, mounts: &str) -> Option<Holder> {
    let root = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    })?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let base = below(&root, path);
    delegate(&base).ok()?;
    Some(Holder::Cgroup2(base))
}

/// Lets groups below `base` have controllers: its own processes go into one beside them, since a
/// group of version 2 holds processes or other groups and not both.
fn delegate(base: &Path) -> io::Result<()> {
    let enabled = |file: &str| -> io::Result<bool> {
        let text = fs::read_to_string(base.join(file))?;
        Ok(CONTROLLERS.iter().all(|name| text.split_whitespace().any(|word| word == *name)))
    };
    if enabled("cgroup.subtree_control")? {
        return Ok(());
    }
    if !enabled("cgroup.controllers")? {
        return Err(io::Error::other("the controllers are not there"));
    }
    let leaf = base.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write(leaf.join("cgroup.procs"), "0")?;
    fs::write(base.join("cgroup.subtree_control"), "+memory +pids +cpu")
}

fn version1(own: &str, mounts: &str) -> Option<Holder> {
    let tree = |controller: &str| {
        let has = |words: &str| words.split(',').any(|word| word == controller);
        let root = mounts.lines().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                [_, place, "cgroup", options, ..] if has(options) => Some(PathBuf::from(place)),
                _ => None,
            }
        })?;
        let path = own.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            has(controllers).then_some(path)
        })?;
        Some(below(&root, path))
    };
    Some(Holder::Cgroup1(Trees {
        memory: tree("memory")?,
        pids: tree("pids")?,
        cpu: tree("cpu").filter(|path| path.join("cpu.cfs_quota_us").exists() || path.exists()),
    }))
}

/// A process' own group as a directory; the tree's root where a container shows no more of it.
fn below(root: &Path, path: &str) -> PathBuf {
    let full = root.join(path.trim_start_matches('/'));
    if full.is_dir() { full } else { root.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "cgroup /c/memory cgroup rw,memory 0 0\ncgroup /c/pids cgroup rw,pids 0 0\n\
                          cgroup2 /c/unified cgroup2 rw 0 0\n";

    #[test]
    fn trees_of_version_1_are_found_by_their_controllers() {
        let own = "4:memory:/a/b\n8:pids:/\n0::/\n";
        let Some(Holder::Cgroup1(trees)) = version1(own, MOUNTS) else { panic!("no trees") };
        assert_eq!((trees.memory, trees.pids), ("/c/memory".into(), "/c/pids".into()));
        assert_eq!(trees.cpu, None);
        assert_eq!(version1("4:memory:/\n", MOUNTS), None, "no pids");
    }

    #[test]
    fn a_group_of_version_2_is_made_fit_for_others_below_it() {
        let base = tempfile::tempdir().expect("a directory");
        let path = |name: &str| base.path().join(name);
        fs::write(path("cgroup.controllers"), "cpuset cpu memory pids\n").expect("a file");
        fs::write(path("cgroup.subtree_control"), "\n").expect("a file");
        delegate(base.path()).expect("delegated");
        let said = fs::read_to_string(path("cgroup.subtree_control")).expect("a file");
        assert_eq!(said, "+memory +pids +cpu");
        let moved = fs::read_to_string(path(LEAF).join("cgroup.procs")).expect("a file");
        assert_eq!(moved, "0", "the worker itself has left");
        fs::write(path("cgroup.controllers"), "cpu\n").expect("a file");
        fs::write(path("cgroup.subtree_control"), "\n").expect("a file");
        assert!(delegate(base.path()).is_err(), "no memory, no pids");
    }
}
