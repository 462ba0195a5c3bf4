//! What one check costs, in nanoseconds: `cargo run --release -p plimsoll-limit --example check`.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Duration;

use plimsoll_core::time::{Clock, SystemClock, Timestamp};
use plimsoll_limit::{Allowance, Rate, Rates, Rules};

const ROUNDS: u32 = 2_000_000;

fn main() -> io::Result<()> {
    let burst = Some(Rate::new(1_000_000_000, Duration::from_secs(1)));
    let hourly = Some(1_000_000_000);
    let mut out = io::stdout().lock();
    for (name, rules) in [
        ("no limit", Rules::default()),
        (
            "quota",
            Rules {
                hourly,
                burst: None,
            },
        ),
        (
            "burst",
            Rules {
                hourly: None,
                burst,
            },
        ),
        ("quota and burst", Rules { hourly, burst }),
    ] {
        let allowance = Allowance::default();
        let took = measure(|now| allowance.take(black_box(&rules), now).is_allowed());
        writeln!(out, "{name:16} {took:7.1} ns")?;
    }
    let (rates, rate) = (
        Rates::new(100_000),
        Rate::new(1_000_000_000, Duration::from_secs(1)),
    );
    let took = measure(|now| rates.take(black_box(&7_u128), &rate, now).allowed);
    writeln!(out, "{:16} {took:7.1} ns", "one of many")
}

fn measure(mut check: impl FnMut(Timestamp) -> bool) -> f64 {
    let clock = SystemClock::new();
    let start = clock.monotonic();
    for round in 0..ROUNDS {
        let now = Timestamp::from_micros(1_700_000_000_000_000 + i64::from(round));
        black_box(check(black_box(now)));
    }
    clock.monotonic().since(start).as_secs_f64() * 1e9 / f64::from(ROUNDS)
}
