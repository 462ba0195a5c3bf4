//! Fixed-window quotas and bursts, in memory.
