//! The processes below one, as the kernel lists them: those in a sandbox are in no group of ours.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The most processes that are followed.
const COUNT_MAX: usize = 10_000;

/// Sends a signal to what bubblewrap's two own processes, `leader` and its child, have started.
pub(crate) fn signal(leader: Pid, signal: Signal) {
    for inner in children(leader.as_raw()) {
        for id in below(inner) {
            // One that has ended meanwhile needs no signal.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

/// The processes below one.
pub(crate) fn below(id: i32) -> Vec<i32> {
    let mut found = children(id);
    let mut next = 0;
    while let Some(id) = found.get(next).copied().filter(|_| next < COUNT_MAX) {
        found.extend(children(id));
        next += 1;
    }
    found.truncate(COUNT_MAX);
    found
}

/// All processes that can be seen.
pub(crate) fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a process goes on. One that has ended and that nobody has asked after yet does not: of a
/// sandbox' first process, the kernel says so once all others have ended.
pub(crate) fn is_alive(id: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

/// The children of all threads of a process.
fn children(id: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<i32>>()
        })
        .filter(|id| *id > 1)
        .collect()
}
