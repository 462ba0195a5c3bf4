//! Which files a worker may touch (Landlock, kernel.org: userspace-api/landlock).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// Newest rules this code knows; a kernel enforces what it knows of them.
const NEWEST: ABI = ABI::V7;
/// What Python and its libraries read of the system. No other process, no
/// folder of a person, no configuration that could hold a secret.
const SYSTEM: [&str; 16] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/nsswitch.conf",
    "/etc/ssl/openssl.cnf",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/dev/urandom",
];

/// From now on this process reads `roots`, its own folder and what every program needs, and writes
/// `writable`; it binds and connects nowhere and signals nobody. Says whether the kernel enforces that.
pub(crate) fn allow_only(roots: &[PathBuf], folder: &Path, writable: Option<&Path>) -> bool {
    let status = restrict(roots, folder, writable);
    status.is_ok_and(|status| status != RulesetStatus::NotEnforced)
}

fn restrict(
    roots: &[PathBuf],
    folder: &Path,
    writable: Option<&Path>,
) -> Result<RulesetStatus, RulesetError> {
    let (read, all) = (AccessFs::from_read(NEWEST), AccessFs::from_all(NEWEST));
    let read_and_write = AccessFs::ReadFile | AccessFs::WriteFile;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let ruleset = ruleset
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(roots, read))?
        .add_rules(path_beneath_rules([folder], read))?
        .add_rules(path_beneath_rules(["/dev/null"], read_and_write))?
        .add_rules(path_beneath_rules(writable, all))?;
    Ok(ruleset.restrict_self()?.ruleset)
}
