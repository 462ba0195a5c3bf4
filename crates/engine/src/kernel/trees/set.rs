//! Sets of categories, which categorical nodes ask.

use serde::{Deserialize, Serialize};

/// Which categories go which way. Category `c` is bit `c % 32` of word `c / 32`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Set {
    /// The members.
    pub(crate) members: Vec<u32>,
    /// Whether members go left; they go right otherwise.
    pub(crate) members_left: bool,
    /// The categories of the fit, where others and negative ones count as missing;
    /// without them they go where members do not.
    pub(crate) known: Option<Vec<u32>>,
    /// Whether −0.5 is category 0, as a conversion to an integer in C has it.
    pub(crate) truncates: bool,
}

impl Set {
    /// Whether `x`, which is not NaN, goes left; `None` if it counts as missing.
    pub(super) fn goes_left(&self, x: f64) -> Option<bool> {
        let category = if self.truncates { x.trunc() } else { x };
        #[expect(clippy::cast_sign_loss, reason = "negative ones are sorted out")]
        let category = (category >= 0.0).then_some(category as usize);
        let Some(category) = category else {
            return self.known.is_none().then_some(!self.members_left);
        };
        if has(&self.members, category) {
            return Some(self.members_left);
        }
        match &self.known {
            Some(known) if !has(known, category) => None,
            _ => Some(!self.members_left),
        }
    }
}

fn has(words: &[u32], category: usize) -> bool {
    let word = words.get(category / 32);
    word.is_some_and(|word| word >> (category % 32) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members_left: bool, known: Option<Vec<u32>>, truncates: bool) -> Set {
        Set {
            members: vec![0b101, 1],
            members_left,
            known,
            truncates,
        }
    }

    #[test]
    fn members_and_others_go_opposite_ways_whatever_they_are() {
        let others = [1.0, 3.0, 33.0, 64.0, 1e30, f64::INFINITY, -1.0, -1e30];
        for left in [true, false] {
            let set = set(left, None, true);
            for member in [0.0, 2.0, 32.0, 2.9, -0.5] {
                assert_eq!(set.goes_left(member), Some(left), "{member}");
            }
            for other in others {
                assert_eq!(set.goes_left(other), Some(!left), "{other}");
            }
        }
        assert_eq!(set(true, None, false).goes_left(-0.5), Some(false));
    }

    #[test]
    fn what_the_fit_did_not_see_is_missing_where_the_fit_says_so() {
        let set = set(true, Some(vec![0b111, 1]), false);
        assert_eq!(set.goes_left(0.0), Some(true));
        assert_eq!(set.goes_left(1.0), Some(false));
        for unseen in [3.0, 300.0, -1.0] {
            assert_eq!(set.goes_left(unseen), None, "{unseen}");
        }
    }
}
