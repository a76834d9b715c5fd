//! The control groups of one execution: made before it starts, ended with all that is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maestro_schemas::sandbox::Limits;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Holder;

/// What the names of groups begin with; the worker's process id and a number follow.
const PREFIX: &str = "maestro-step-";
/// The period that processor time is shared out in, in microseconds.
const PERIOD_US: u64 = 100_000;
/// How long processes that were killed may take to be gone.
const END_MAX: Duration = Duration::from_secs(5);
/// The longest list of processes that is read, in bytes.
const LIST_BYTES_MAX: usize = 1 << 20;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The control groups of one execution. What is in them when it is dropped is killed.
#[derive(Debug)]
pub(in super::super) struct Cage {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    path: PathBuf,
    /// The file that a process joins by.
    door: &'static str,
}

impl Cage {
    /// Makes groups with these limits; none where nothing but limits of each process holds here.
    pub(in super::super) fn make(holder: &Holder, limits: &Limits) -> io::Result<Option<Self>> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let mut cage = Self { groups: Vec::new() };
        match holder {
            Holder::Rlimit => return Ok(None),
            Holder::Cgroup2(base) => {
                let path = cage.group(base, &name, "cgroup.procs")?;
                version2(&path, limits)?;
            }
            Holder::Cgroup1(trees) => {
                // A thread alone that enters by `tasks` waits for nobody.
                let path = cage.group(&trees.memory, &name, "tasks")?;
                set(&path, "memory.limit_in_bytes", limits.memory_mib.map(|mib| mib << 20))?;
                // Not every kernel counts what is swapped out.
                let _ = set(
                    &path,
                    "memory.memsw.limit_in_bytes",
                    limits.memory_mib.map(|mib| mib << 20),
                );
                let path = cage.group(&trees.pids, &name, "tasks")?;
                set(&path, "pids.max", limits.processes)?;
                if let (Some(cpu), Some(millis)) = (&trees.cpu, limits.cpu_millis) {
                    let path = cage.group(cpu, &name, "tasks")?;
                    set(&path, "cpu.cfs_period_us", Some(PERIOD_US))?;
                    set(&path, "cpu.cfs_quota_us", Some(millis * PERIOD_US / 1_000))?;
                }
            }
        }
        Ok(Some(cage))
    }

    /// The files that a process writes `0` to, to be held.
    pub(in super::super) fn doors(&self) -> Vec<PathBuf> {
        self.groups.iter().map(|group| group.path.join(group.door)).collect()
    }

    /// Whether a process in it was killed for want of memory.
    pub(in super::super) fn ran_out_of_memory(&self) -> bool {
        let Some(group) = self.groups.first() else { return false };
        let files = ["memory.events", "memory.oom_control"];
        files.iter().filter_map(|file| fs::read_to_string(group.path.join(file)).ok()).any(|text| {
            let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            count.and_then(|count| count.trim().parse::<u64>().ok()).is_some_and(|count| count > 0)
        })
    }

    /// Kills all that is in it; whether nothing was.
    pub(in super::super) fn kill(&self) -> bool {
        let found: usize = self.groups.iter().map(|group| kill_all(&group.path)).sum();
        found == 0
    }

    fn group(&mut self, base: &Path, name: &str, door: &'static str) -> io::Result<PathBuf> {
        let path = base.join(name);
        fs::create_dir(&path)?;
        self.groups.push(Group { path: path.clone(), door });
        Ok(path)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let paths: Vec<PathBuf> = self.groups.drain(..).map(|group| group.path).collect();
        let left: Vec<PathBuf> = paths.into_iter().filter(|path| !remove(path)).collect();
        if !left.is_empty() {
            // What was killed takes a moment to be gone, and whoever drops has none.
            thread::spawn(move || {
                let until = Instant::now() + END_MAX;
                while !left.iter().all(|path| remove(path)) && Instant::now() < until {
                    thread::park_timeout(Duration::from_millis(10));
                }
            });
        }
    }
}

/// Removes the groups of workers that are no more, with what they left running.
pub(super) fn sweep(holder: &Holder) {
    let bases: Vec<&PathBuf> = match holder {
        Holder::Rlimit => Vec::new(),
        Holder::Cgroup2(base) => vec![base],
        Holder::Cgroup1(trees) => [Some(&trees.memory), Some(&trees.pids), trees.cpu.as_ref()]
            .into_iter()
            .flatten()
            .collect(),
    };
    for base in bases {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
            let is_dead = owner.is_some_and(|id| !Path::new("/proc").join(id).exists());
            if is_dead {
                drop(Cage { groups: vec![Group { path: entry.path(), door: "" }] });
            }
        }
    }
}

/// Kills and removes a group; whether it is gone.
fn remove(path: &Path) -> bool {
    kill_all(path);
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Kills every process of a group; how many there were.
fn kill_all(path: &Path) -> usize {
    let mut list = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    list.truncate(list.floor_char_boundary(LIST_BYTES_MAX));
    // Of version 2, at once and with what is forked meanwhile.
    let _ = fs::write(path.join("cgroup.kill"), "1");
    let ids = list.lines().filter_map(|line| line.parse().ok()).filter(|id: &i32| *id > 0);
    ids.fold(0, |count, id| {
        // One that has ended meanwhile needs no signal.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        count + 1
    })
}

fn version2(path: &Path, limits: &Limits) -> io::Result<()> {
    set(path, "memory.max", limits.memory_mib.map(|mib| mib << 20))?;
    // Where nothing is swapped there is no such file.
    let _ = set(path, "memory.swap.max", limits.memory_mib.map(|_| 0));
    set(path, "pids.max", limits.processes)?;
    match limits.cpu_millis {
        Some(millis) => {
            let quota = millis * PERIOD_US / 1_000;
            write(&path.join("cpu.max"), &format!("{quota} {PERIOD_US}"))
        }
        None => Ok(()),
    }
}

fn set(path: &Path, file: &str, value: Option<u64>) -> io::Result<()> {
    value.map_or(Ok(()), |value| write(&path.join(file), &value.to_string()))
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    fs::write(file, text)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path, file: &str) -> String {
        fs::read_to_string(path.join(file)).expect("a file")
    }

    #[test]
    fn limits_of_version_2_are_written_as_the_kernel_reads_them() {
        let base = tempfile::tempdir().expect("a directory");
        let limits = Limits {
            memory_mib: Some(64),
            processes: Some(100),
            cpu_millis: Some(1_500),
            disk_mib: None,
        };
        let holder = Holder::Cgroup2(base.path().to_owned());
        let cage = Cage::make(&holder, &limits).expect("a cage").expect("groups");
        let doors = cage.doors();
        let path = doors.first().and_then(|door| door.parent()).expect("a door");
        assert!(doors.iter().all(|door| door.ends_with("cgroup.procs")), "{doors:?}");
        assert_eq!(read(path, "memory.max"), "67108864");
        assert_eq!(read(path, "memory.swap.max"), "0");
        assert_eq!(read(path, "pids.max"), "100");
        assert_eq!(read(path, "cpu.max"), "150000 100000");
        fs::write(path.join("memory.events"), "oom 2\noom_kill 1\n").expect("a file");
        assert!(cage.ran_out_of_memory());
        // A real group has no files to remove.
        fs::remove_dir_all(path).expect("removed");
    }
}
