//! What a worker has, against what a step says that it takes up.
//!
//! Slots are what is counted: a step takes as many of them as its share of the host's processors and
//! memory is of all slots, so that steps which say what they need never get more than there is, and
//! steps that say nothing take one each.

use maestro_schemas::plan::Resources;

/// The most of `/proc/meminfo` that is read.
const MEMINFO_LINES: usize = 8;

/// What a pool of a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// How many steps that say nothing run together.
    pub(crate) slots: u32,
    /// Thousandths of a processor core.
    pub(crate) cpu_millis: u64,
    /// Mebibytes of memory; 0 where the system does not tell.
    pub(crate) memory_mib: u64,
    /// Whole GPUs.
    pub(crate) gpu: u32,
}

impl Capacity {
    /// What this host has, for a pool of so many slots.
    pub(crate) fn of_host(slots: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            slots,
            cpu_millis: cores as u64 * 1_000,
            memory_mib: memory_mib().unwrap_or(0),
            gpu: gpus(),
        }
    }

    /// How many slots a step takes, all of them at the most; in words why it cannot run here at all.
    /// A step that wants more processors than there are runs alone: it is slower and not wrong.
    pub(crate) fn slots_for(&self, wanted: &Resources) -> Result<u32, String> {
        if wanted.gpu > self.gpu {
            return Err(format!(
                "the step takes up {} GPUs and this worker has {}: give such steps a pool of workers that have them",
                wanted.gpu, self.gpu
            ));
        }
        let memory = u64::from(wanted.memory_mib);
        if self.memory_mib > 0 && memory > self.memory_mib {
            return Err(format!(
                "the step takes up {memory} MiB of memory and this worker has {}",
                self.memory_mib
            ));
        }
        let share = |wanted: u64, all: u64| match all {
            0 => 0,
            all => (wanted * u64::from(self.slots)).div_ceil(all),
        };
        let most = u64::from(wanted.slots.get())
            .max(share(u64::from(wanted.cpu_millis), self.cpu_millis))
            .max(share(memory, self.memory_mib));
        Ok(u32::try_from(most).unwrap_or(u32::MAX).min(self.slots))
    }
}

fn memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().take(MEMINFO_LINES).find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1_024)
}

/// Devices as the NVIDIA driver names them.
fn gpus() -> u32 {
    let is_gpu = |name: &str| {
        name.strip_prefix("nvidia").is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let names = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let count = names.filter(|entry| entry.file_name().to_str().is_some_and(is_gpu)).count();
    u32::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Capacity = Capacity { slots: 8, cpu_millis: 4_000, memory_mib: 16_384, gpu: 1 };

    fn slots(cpu_millis: u32, memory_mib: u32, gpu: u32) -> Result<u32, String> {
        HERE.slots_for(&Resources { cpu_millis, memory_mib, gpu, ..Resources::default() })
    }

    #[test]
    fn a_step_takes_as_many_slots_as_its_share_of_the_host() {
        assert_eq!(slots(0, 0, 0), Ok(1));
        assert_eq!(slots(500, 0, 0), Ok(1));
        assert_eq!(slots(1_001, 0, 0), Ok(3));
        assert_eq!(slots(0, 8_192, 0), Ok(4));
        assert_eq!(slots(2_000, 2_048, 1), Ok(4));
        assert_eq!(slots(64_000, 0, 0), Ok(8), "it runs alone");
    }

    #[test]
    fn what_the_host_does_not_have_is_refused_in_words() {
        assert!(slots(0, 16_385, 0).unwrap_err().contains("16384"));
        assert!(slots(0, 0, 2).unwrap_err().contains("2 GPUs"));
    }

    #[test]
    fn a_host_says_what_it_has() {
        let here = Capacity::of_host(2);
        assert!(here.cpu_millis >= 1_000 && here.memory_mib > 0, "{here:?}");
    }
}
