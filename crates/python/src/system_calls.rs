//! What a worker may not ask the kernel for (seccomp, kernel.org: userspace-api/seccomp_filter).
//!
//! A worker computes and answers on a socket it was given. It needs no other
//! socket, no other process and no say over one: each such call fails with
//! `EPERM`, which a library that only tries takes for an answer.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Calls that are refused whatever they ask for.
const REFUSED: &[libc::c_long] = &[
    // The network, and sockets of this machine.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_io_uring_setup,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpriority,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_ioprio_set,
    // The kernel itself, and whatever widens what can be reached.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_acct,
    libc::SYS_personality,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// From now on this process has only itself. Says whether the kernel enforces that.
pub(crate) fn forbid() -> bool {
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return false;
    };
    let forbidden = rules(u64::from(std::process::id())).and_then(|rules| {
        let refused = program(rules, libc::EPERM, architecture)?;
        // The C library then makes threads with `clone`, whose flags can be judged.
        let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let unknown = program(unknown, libc::ENOSYS, architecture)?;
        apply_filter(&unknown)?;
        apply_filter(&refused)
    });
    forbidden.is_ok()
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(this_process: u64) -> Result<Rules, seccompiler::Error> {
    let no_thread = SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64);
    let death_signal = libc::PR_SET_PDEATHSIG as u64;
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for (call, conditions) in [
        // Threads are fine, processes are not.
        (libc::SYS_clone, vec![(no_thread, 0)]),
        // Signals reach this process alone, as `abort` needs it.
        (libc::SYS_kill, vec![(SeccompCmpOp::Ne, this_process)]),
        (libc::SYS_tgkill, vec![(SeccompCmpOp::Ne, this_process)]),
        // 0 is this process as well.
        (libc::SYS_prlimit64, others(this_process)),
        (libc::SYS_sched_setaffinity, others(this_process)),
        // It ends with the server.
        (libc::SYS_prctl, vec![(SeccompCmpOp::Eq, death_signal)]),
    ] {
        rules.insert(call, vec![rule(conditions)?]);
    }
    Ok(rules)
}

fn others(this_process: u64) -> Vec<(SeccompCmpOp, u64)> {
    vec![(SeccompCmpOp::Ne, 0), (SeccompCmpOp::Ne, this_process)]
}

/// A call whose first argument meets all of these.
fn rule(conditions: Vec<(SeccompCmpOp, u64)>) -> Result<SeccompRule, seccompiler::Error> {
    let conditions = conditions
        .into_iter()
        .map(|(operator, value)| SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value))
        .collect::<Result<_, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

fn program(
    rules: Rules,
    errno: libc::c_int,
    architecture: TargetArch,
) -> Result<BpfProgram, seccompiler::Error> {
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?;
    Ok(filter.try_into()?)
}
