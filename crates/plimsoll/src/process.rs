//! What a server asks of the operating system for itself.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Raises the soft limit of open files to the hard one, and keeps memory, which
/// holds secrets, out of core dumps. Neither is worth refusing to start for.
pub(crate) fn prepare() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "core dumps stay possible");
    }
}

/// How many files a server may have open, after [`prepare`].
pub(crate) fn open_file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}
