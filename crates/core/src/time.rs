//! Wall-clock and monotonic time, injected everywhere so that tests can move it.
//!
//! Nothing outside this module asks the operating system for the time; clippy
//! refuses it. Wall-clock values are microseconds since the Unix epoch (UTC).

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Wraps microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant plus `duration`, saturating at the end of representable time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// This instant minus `duration`, saturating at the start of representable time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// Time elapsed since `earlier`; zero if `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses an RFC 3339 date-time with a zone; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|t| Self(t.as_microsecond()))
    }
}

impl From<i64> for Timestamp {
    fn from(micros: i64) -> Self {
        Self(micros)
    }
}

/// RFC 3339 in UTC with microseconds (`2026-11-21T07:49:00.000000Z`).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = TimeText::new(*self) {
            return f.write_str(text.as_str());
        }
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match TimeText::new(*self) {
            Some(text) => serializer.serialize_str(text.as_str()),
            None => serializer.collect_str(self),
        }
    }
}

thread_local! {
    /// The last second that this thread wrote, and its text. Most times that are
    /// written are of now, and a calendar is slow compared with everything else
    /// that an answer needs.
    static SECOND: Cell<(i64, [u8; TimeText::WHOLE])> =
        const { Cell::new((i64::MIN, [0; TimeText::WHOLE])) };
}

/// A time of the years 0 to 9999 as text.
struct TimeText([u8; Self::LENGTH]);

impl TimeText {
    /// `2026-11-21T07:49:00.`
    const WHOLE: usize = 20;
    /// The same with six digits and `Z`.
    const LENGTH: usize = Self::WHOLE + 7;

    fn new(time: Timestamp) -> Option<Self> {
        let mut text = [b'Z'; Self::LENGTH];
        text[..Self::WHOLE].copy_from_slice(&Self::second(time.as_seconds())?);
        let mut micros = time.0.rem_euclid(1_000_000);
        for digit in text[Self::WHOLE..Self::LENGTH - 1].iter_mut().rev() {
            *digit = b'0' + u8::try_from(micros % 10).unwrap_or(0);
            micros /= 10;
        }
        Some(Self(text))
    }

    fn second(second: i64) -> Option<[u8; Self::WHOLE]> {
        let (known, text) = SECOND.get();
        if known == second {
            return Some(text);
        }
        let time = jiff::Timestamp::from_second(second).ok()?;
        let text = format!("{time:.1}");
        let whole = text.strip_suffix("0Z")?.as_bytes().try_into().ok()?;
        SECOND.set((second, whole));
        Some(whole)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: a time is ASCII")
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected an RFC 3339 date-time"))
    }
}

/// A point on the monotonic clock: nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(u64);

impl Monotonic {
    /// Wraps nanoseconds since the clock was made.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock was made.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Time elapsed since `earlier`; zero if `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The source of time. Wall time may jump; monotonic time never goes back.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Wall-clock time, for anything a person or another machine will read.
    fn now(&self) -> Timestamp;
    /// Monotonic time, for durations, deadlines and limits.
    fn monotonic(&self) -> Monotonic;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the operating system's clocks"
)]
impl SystemClock {
    /// A clock whose monotonic zero is now.
    pub fn new() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }

    fn wall() -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Self::wall()
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A clock that moves only when told to, for tests.
#[derive(Debug)]
pub struct ManualClock {
    wall_micros: AtomicI64,
    monotonic_nanos: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            wall_micros: AtomicI64::new(start.0),
            monotonic_nanos: AtomicU64::new(0),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.wall_micros.fetch_add(micros, Ordering::SeqCst);
        self.monotonic_nanos.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Moves the wall clock alone, as an administrator or NTP would.
    pub fn jump(&self, to: Timestamp) {
        self.wall_micros.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_micros.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.monotonic_nanos.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_and_parse_as_rfc_3339() {
        let t = Timestamp::from_micros(1_763_711_340_000_001);
        assert_eq!(t.to_string(), "2025-11-21T07:49:00.000001Z");
        assert_eq!(Timestamp::parse(&t.to_string()), Some(t));
        assert_eq!(
            Timestamp::parse("2025-11-21T08:49:00.000001+01:00"),
            Some(t)
        );
        assert_eq!(Timestamp::parse("2025-11-21"), None);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::from_micros(5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp::from_micros(1_000_005));
        assert_eq!(clock.monotonic(), Monotonic::from_nanos(1_000_000_000));
        clock.jump(Timestamp::from_micros(0));
        assert_eq!(clock.monotonic(), Monotonic::from_nanos(1_000_000_000));
    }

    #[test]
    fn times_are_written_as_the_calendar_writes_them() {
        let micros = [
            0,
            -1,
            -1_000_000,
            1_763_711_340_000_001,
            1_763_711_340_999_999,
            1_763_711_341_000_000,
            951_782_399_500_000,
            -62_167_219_200_000_000,
            -62_167_219_200_000_001,
            253_402_207_200_000_000,
        ];
        for micros in micros.into_iter().chain(micros.into_iter().rev()) {
            let time = jiff::Timestamp::from_microsecond(micros).unwrap();
            let ours = Timestamp::from_micros(micros);
            assert_eq!(ours.to_string(), format!("{time:.6}"));
            assert_eq!(serde_json::to_value(ours).unwrap(), ours.to_string());
        }
        assert_eq!(
            Timestamp::from_micros(i64::MAX).to_string(),
            format!("{}us", i64::MAX)
        );
    }
}
