//! The header fields that tell a caller how they stand with their limits.
//!
//! Two generations: `X-RateLimit-*`, which many clients know, with the time in
//! Unix seconds, and the fields of draft-ietf-httpapi-ratelimit-headers-11.
//! This is on the way of each limited prediction, so the texts are put together
//! on the stack.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use plimsoll_app::limits::{Standing, Standings};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Fields that [`write()`] adds.
pub(super) const FIELDS: usize = 5;

/// Writes both generations, or only the draft's; nothing for callers without limits.
pub(super) fn write(headers: &mut HeaderMap, standings: &Standings, x_ratelimit: bool) {
    let Some(leading) = standings.leading() else {
        return;
    };
    if x_ratelimit {
        headers.insert(X_LIMIT, whole(leading.limit.into()));
        headers.insert(X_REMAINING, whole(leading.remaining.into()));
        headers.insert(X_RESET, whole(unix_seconds(leading)));
    }
    let mut policies = Text::default();
    for standing in standings.iter() {
        policies.next_of_list();
        policies.name(standing);
        policies.number(b";q=", standing.limit.into());
        policies.number(b";w=", standing.window_seconds.into());
    }
    headers.insert(POLICY, policies.value());
    let mut state = Text::default();
    state.name(leading);
    state.number(b";r=", leading.remaining.into());
    state.number(b";t=", leading.resets_in.into());
    headers.insert(STATE, state.value());
}

/// When the limit is whole again, rounded up.
fn unix_seconds(standing: &Standing) -> u64 {
    let micros = u64::try_from(standing.resets_at.as_micros()).unwrap_or(0);
    micros.div_ceil(1_000_000)
}

/// A number alone. `HeaderValue::from` would make room for it twice.
fn whole(number: u64) -> HeaderValue {
    let mut text = Text::default();
    text.number(b"", number);
    text.value()
}

/// A field value under construction. Two limits with ten digits in each number
/// take 84 bytes.
struct Text {
    bytes: [u8; 96],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; 96],
            len: 0,
        }
    }
}

impl Text {
    fn next_of_list(&mut self) {
        if self.len > 0 {
            self.push(b", ");
        }
    }

    fn name(&mut self, standing: &Standing) {
        self.push(b"\"");
        self.push(standing.policy.name().as_bytes());
        self.push(b"\"");
    }

    fn number(&mut self, parameter: &[u8], number: u64) {
        self.push(parameter);
        let (mut digits, mut start, mut rest) = ([0; 20], 20, number);
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[start..]);
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.bytes[..self.len])
            .expect("invariant: names and numbers are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_app::limits::Policy;
    use plimsoll_core::time::Timestamp;

    use super::*;

    fn standing(policy: Policy, limit: u32, window_seconds: u32, remaining: u32) -> Standing {
        Standing {
            policy,
            limit,
            window_seconds,
            remaining,
            resets_at: Timestamp::from_micros(1_700_000_000_000_001),
            resets_in: 1312,
            is_violated: remaining == 0,
        }
    }

    fn written(standings: &Standings, x_ratelimit: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        write(&mut headers, standings, x_ratelimit);
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut fields: Vec<_> = headers.iter().map(text).collect();
        fields.sort();
        fields
    }

    #[test]
    fn both_generations_say_the_same() {
        let hour = standing(Policy::Hour, 5000, 3600, 4987);
        let burst = standing(Policy::Burst, 100, 1, 99);
        let both = Standings::new(Some(hour), Some(burst));
        let draft = [
            r#"ratelimit-policy: "hour";q=5000;w=3600, "burst";q=100;w=1"#,
            r#"ratelimit: "hour";r=4987;t=1312"#,
        ];
        assert_eq!(written(&both, false), draft);
        assert_eq!(
            written(&both, true)[2..],
            [
                "x-ratelimit-limit: 5000",
                "x-ratelimit-remaining: 4987",
                "x-ratelimit-reset: 1700000001",
            ]
        );
        assert_eq!(written(&both, true).len(), FIELDS);
    }

    #[test]
    fn a_violated_limit_is_told_before_a_longer_one() {
        let hour = standing(Policy::Hour, 5000, 3600, 4987);
        let burst = standing(Policy::Burst, 100, 1, 0);
        let both = Standings::new(Some(hour), Some(burst));
        assert_eq!(written(&both, false)[1], r#"ratelimit: "burst";r=0;t=1312"#);
    }

    #[test]
    fn the_longest_text_has_room_and_no_limit_says_nothing() {
        let most = standing(Policy::Register, u32::MAX, u32::MAX, u32::MAX);
        assert_eq!(
            written(&Standings::new(Some(most), Some(most)), true).len(),
            FIELDS
        );
        assert!(written(&Standings::default(), true).is_empty());
    }
}
