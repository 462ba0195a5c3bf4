//! How often somebody may do something: quotas per fixed window, and growing
//! delays after failures.
//!
//! Pure state in memory, exact under concurrency; the time is always given by
//! the caller, so a test moves it at will.

mod memory;
mod quota;
mod table;

pub use memory::{Backoff, Decision, FixedWindow};
pub use quota::{MAX_LIMIT, Quota};
