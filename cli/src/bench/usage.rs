//! What processes used, as the kernel accounts it.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// What a process, with those that it started, used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time, in microseconds; the kernel counts in hundredths of a second.
    pub cpu_us: u64,
    /// Most memory that was resident at once, in KiB; of several processes, the sum of what each
    /// has alone.
    pub memory_kib: u64,
}

impl Usage {
    /// What was used since `before`; memory is as it is now.
    pub const fn since(self, before: Self) -> Self {
        Self { cpu_us: self.cpu_us.saturating_sub(before.cpu_us), memory_kib: self.memory_kib }
    }
}

/// Microseconds of a tick of `/proc/PID/stat`.
const TICK_US: u64 = 10_000;

/// What `root` and its descendants used until now.
pub fn of_tree(root: u32) -> Usage {
    let parents = parents();
    let within = |pid: u32| {
        let mut next = Some(pid);
        std::iter::from_fn(|| {
            let this = next?;
            next = parents.get(&this).copied();
            Some(this)
        })
        .take(16)
        .any(|ancestor| ancestor == root)
    };
    let family: Vec<u32> = parents.keys().copied().filter(|pid| within(*pid)).collect();
    let single = family.len() == 1;
    family.iter().fold(Usage::default(), |sum, pid| Usage {
        cpu_us: sum.cpu_us + cpu_us(*pid).unwrap_or(0),
        memory_kib: sum.memory_kib + memory_kib(*pid, single).unwrap_or(0),
    })
}

fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, field(pid, 4)?)))
        .map(|(pid, parent)| (pid, parent as u32))
        .collect()
}

/// A numeric field of `/proc/PID/stat`, counted from 1 as proc(5) does.
fn field(pid: u32, number: usize) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, spaces and parentheses too.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_us(pid: u32) -> Option<u64> {
    Some((field(pid, 14)? + field(pid, 15)?) * TICK_US)
}

/// The peak where the process is alone; its private pages now where it shares memory with others.
fn memory_kib(pid: u32, single: bool) -> Option<u64> {
    let (file, name) = if single { ("status", "VmHWM:") } else { ("smaps_rollup", "Pss:") };
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
