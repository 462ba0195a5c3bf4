//! How often somebody may do something: quotas per fixed window, rates with a
//! burst, and growing delays after failures.
//!
//! Pure state in memory, exact under concurrency; the time is always given by
//! the caller, so a test moves it at will.

mod allowance;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod gcra;
mod limit;
mod memory;
mod quota;
mod rates;
mod table;

pub use allowance::{Allowance, HOUR, Rules, Verdict};
pub use gcra::{Gcra, Rate};
pub use limit::Limit;
pub use memory::{Backoff, Decision, FixedWindow};
pub use quota::{MAX_LIMIT, Quota};
pub use rates::Rates;
