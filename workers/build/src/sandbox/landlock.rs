//! Rules on files that a process puts itself under, and all that it starts, for good.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

/// Below this, rules on files can be passed by cutting them off: Linux 6.2.
const LEAST: ABI = ABI::V3;
/// What is used beyond that, where the kernel has it: Linux 6.12.
const BEST: ABI = ABI::V6;

/// Devices that programs take to be there.
const DEVICES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What of the kernel's own files a step reads.
const KERNEL: [&str; 2] = ["/proc", "/sys/devices/system/cpu"];

/// The kernel, which is what versions of Landlock come with.
pub(super) fn version() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("linux {}", release.trim())
}

/// Restricts this thread to `read` and `write`, and with `offline` from TCP.
pub(super) fn restrict(
    read: &[PathBuf],
    write: &[PathBuf],
    offline: bool,
) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(BEST);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(BEST))?;
    if offline {
        ruleset = ruleset.handle_access(AccessNet::from_all(BEST))?;
    }
    let reading: BitFlags<AccessFs> = AccessFs::from_read(BEST);
    let read = read.iter().cloned().chain(KERNEL.iter().map(PathBuf::from));
    let write = write.iter().cloned().chain(DEVICES.iter().map(PathBuf::from));
    ruleset
        .create()?
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(write, all))?
        .restrict_self()
}
