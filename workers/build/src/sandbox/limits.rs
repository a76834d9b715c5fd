//! What an execution may take up, and what holds it to that: control groups of version 2, of
//! version 1, or limits of each process.

mod cage;
mod detect;

use std::path::PathBuf;

use maestro_schemas::plan::Resources;
use maestro_schemas::sandbox::{Limits, LimitsBy};
use serde::{Deserialize, Serialize};

pub(super) use cage::Cage;
pub(super) use detect::detect;

/// Processes and threads of one execution that live at once.
const PROCESSES: u64 = 4_096;
/// Mebibytes of an execution's own directories.
const DISK_MIB: u64 = 32 << 10;
/// The part of the host's memory that a step may take up which does not say how much, in percent.
const MEMORY_PERCENT: u64 = 90;

/// What holds executions to their limits here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// Below this directory of the one tree of version 2.
    Cgroup2(PathBuf),
    /// Below these directories of the trees of version 1.
    Cgroup1(Trees),
    /// Nothing but the limits of each process.
    Rlimit,
}

/// The worker's own directories in trees of version 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trees {
    pub(super) memory: PathBuf,
    pub(super) pids: PathBuf,
    /// Where processor time is counted here.
    pub(super) cpu: Option<PathBuf>,
}

impl Holder {
    pub(super) const fn kind(&self) -> LimitsBy {
        match self {
            Self::Cgroup2(_) => LimitsBy::Cgroup2,
            Self::Cgroup1(_) => LimitsBy::Cgroup1,
            Self::Rlimit => LimitsBy::Rlimit,
        }
    }
}

/// Limits of a process and of what it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rlimits {
    /// Bytes of private memory that it may write to.
    pub(super) data: Option<u64>,
    /// Processes of the same user.
    pub(super) processes: Option<u64>,
    /// Bytes of one file.
    pub(super) file: Option<u64>,
}

/// The limits of a step: what it says that it takes up, and what holds for all.
pub(super) fn of_step(resources: &Resources, host_memory_mib: Option<u64>) -> Limits {
    let said = |number: u32| (number > 0).then_some(u64::from(number));
    Limits {
        memory_mib: said(resources.memory_mib)
            .or_else(|| host_memory_mib.map(|host| host * MEMORY_PERCENT / 100)),
        processes: Some(PROCESSES),
        cpu_millis: said(resources.cpu_millis),
        disk_mib: Some(DISK_MIB),
    }
}

/// The limits of each process; where control groups hold the rest, only of its files.
pub(super) fn rlimits(limits: &Limits, holder: &Holder, says_memory: bool) -> Rlimits {
    let file = limits.disk_mib.map(|mib| mib << 20);
    match holder {
        Holder::Cgroup2(_) | Holder::Cgroup1(_) => Rlimits { data: None, processes: None, file },
        Holder::Rlimit => Rlimits {
            data: limits.memory_mib.filter(|_| says_memory).map(|mib| mib << 20),
            // The kernel counts all of the user's: those of now, which are no more than all there
            // are, do not count against the step.
            processes: limits.processes.map(|most| most + tasks_now()),
            file,
        },
    }
}

/// Processes and threads of the whole machine.
fn tasks_now() -> u64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let count = |text: &str| text.split(' ').nth(3)?.split('/').nth(1)?.parse().ok();
    count(&text).unwrap_or(1_024)
}

/// Mebibytes of the host's memory; nothing where the system does not tell.
pub(super) fn host_memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_says_what_it_takes_up_is_held_to_it() {
        let said = Resources { memory_mib: 64, cpu_millis: 500, ..Resources::default() };
        let limits = of_step(&said, Some(1_000));
        assert_eq!((limits.memory_mib, limits.cpu_millis), (Some(64), Some(500)));
        let limits = of_step(&Resources::default(), Some(1_000));
        assert_eq!((limits.memory_mib, limits.cpu_millis), (Some(900), None));
    }

    #[test]
    fn without_control_groups_each_process_is_bound() {
        let limits = Limits { memory_mib: Some(8), processes: Some(10), ..Limits::default() };
        let bound = rlimits(&limits, &Holder::Rlimit, true);
        assert_eq!(bound.data, Some(8 << 20));
        assert!(bound.processes > Some(10), "{bound:?}");
        assert_eq!(rlimits(&limits, &Holder::Rlimit, false).data, None);
        let groups = Holder::Cgroup2(PathBuf::new());
        assert_eq!(rlimits(&limits, &groups, true).processes, None);
    }
}
