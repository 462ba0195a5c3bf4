//! Use cases and rules: the only place that combines the crates below it.
