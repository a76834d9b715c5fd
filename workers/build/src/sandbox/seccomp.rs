//! System calls that no build needs: they change the machine, look into the kernel, or lead around
//! the other rules. Each is refused as forbidden; what is not listed is allowed.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Raised when other calls are refused.
pub(super) const VERSION: &str = "2";

/// Refused whatever they are called with.
const REFUSED: [i64; 48] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Of these what makes sandboxes cannot do without.
const BUILDERS: [i64; 13] = [
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

/// Families of sockets that a step may open.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Requests of `ioctl` that type into a terminal.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Bits of a file's mode that have whoever starts it become somebody else: of a worker that is root, the
/// files that a step makes are root's.
const SET_IDS: [u32; 2] = [libc::S_ISUID, libc::S_ISGID];

/// Calls that set a mode: the argument that holds it, and the one of flags, which counts where the file is
/// to be made.
#[cfg(target_arch = "x86_64")]
const MODES: [(i64, Option<u8>, u8); 9] = [
    (libc::SYS_chmod, None, 1),
    (libc::SYS_fchmod, None, 1),
    (libc::SYS_fchmodat, None, 2),
    (SYS_FCHMODAT2, None, 2),
    (libc::SYS_open, Some(1), 2),
    (libc::SYS_openat, Some(2), 3),
    (libc::SYS_creat, None, 1),
    (libc::SYS_mknod, None, 1),
    (libc::SYS_mknodat, None, 2),
];
#[cfg(not(target_arch = "x86_64"))]
const MODES: [(i64, Option<u8>, u8); 5] = [
    (libc::SYS_fchmod, None, 1),
    (libc::SYS_fchmodat, None, 2),
    (SYS_FCHMODAT2, None, 2),
    (libc::SYS_openat, Some(2), 3),
    (libc::SYS_mknodat, None, 2),
];

/// The same number everywhere, and not in every libc yet.
const SYS_FCHMODAT2: i64 = 452;

/// On x86-64 the same calls have second numbers with this bit.
#[cfg(target_arch = "x86_64")]
const SECOND_NUMBERS: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const SECOND_NUMBERS: Option<i64> = None;

/// The filters of a step, to be applied one after the other; `sockets` is whether it may open any.
pub(super) fn filters(sockets: bool) -> io::Result<[BpfProgram; 2]> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let socket = if sockets { vec![other_families()?] } else { Vec::new() };
    refused.insert(libc::SYS_socket, socket);
    let namespaces = NAMESPACES.iter().map(|flag| has_flag(*flag));
    refused.insert(libc::SYS_clone, namespaces.collect::<io::Result<_>>()?);
    let typing = TYPING.iter().map(|request| is_request(*request));
    refused.insert(libc::SYS_ioctl, typing.collect::<io::Result<_>>()?);
    refused.insert(libc::SYS_prlimit64, vec![rule(vec![condition(0, SeccompCmpOp::Ne, 0)?])?]);
    for (call, flags, mode) in MODES {
        let set = SET_IDS.iter().map(|bit| sets(*bit, flags, mode));
        refused.insert(call, set.collect::<io::Result<_>>()?);
    }
    // Their flags lie in memory, where no filter looks; who is told that they are not there uses `clone`
    // and `openat`.
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new()), (libc::SYS_openat2, Vec::new())]);
    Ok([program(refused, libc::EPERM)?, program(unknown, libc::ENOSYS)?])
}

/// The filter of a program that makes sandboxes itself, and files of every mode.
pub(super) fn of_builders() -> io::Result<BpfProgram> {
    let calls = REFUSED.iter().filter(|call| !BUILDERS.contains(call));
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        calls.map(|call| (*call, Vec::new())).collect();
    let typing = TYPING.iter().map(|request| is_request(*request));
    refused.insert(libc::SYS_ioctl, typing.collect::<io::Result<_>>()?);
    program(refused, libc::EPERM)
}

/// A filter as the kernel and bubblewrap take it.
pub(super) fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    bytes
}

fn program(mut rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> io::Result<BpfProgram> {
    if let Some(bit) = SECOND_NUMBERS {
        let second: Vec<_> =
            rules.iter().map(|(call, rules)| (call | bit, rules.clone())).collect();
        rules.extend(second);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let errno = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, errno, arch)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

fn condition(index: u8, op: SeccompCmpOp, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value).map_err(io::Error::other)
}

fn rule(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

fn other_families() -> io::Result<SeccompRule> {
    let others = FAMILIES
        .iter()
        .map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())));
    rule(others.collect::<io::Result<_>>()?)
}

fn has_flag(flag: i32) -> io::Result<SeccompRule> {
    let flag = u64::from(flag.cast_unsigned());
    rule(vec![condition(0, SeccompCmpOp::MaskedEq(flag), flag)?])
}

fn sets(bit: u32, flags: Option<u8>, mode: u8) -> io::Result<SeccompRule> {
    let bit = u64::from(bit);
    let mut conditions = vec![condition(mode, SeccompCmpOp::MaskedEq(bit), bit)?];
    if let Some(flags) = flags {
        let making = u64::from(libc::O_CREAT.cast_unsigned());
        conditions.push(condition(flags, SeccompCmpOp::MaskedEq(making), making)?);
    }
    rule(conditions)
}

fn is_request(request: u64) -> io::Result<SeccompRule> {
    rule(vec![condition(1, SeccompCmpOp::Eq, request)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_the_kernels_limit() {
        for sockets in [true, false] {
            for filter in filters(sockets).expect("filters") {
                assert!(filter.len() < 4_096, "{}", filter.len());
                assert_eq!(bytes(&filter).len(), filter.len() * 8);
            }
        }
        assert!(of_builders().expect("a filter").len() < 4_096);
    }
}
