//! Which predictions a list shows, and the cursor that continues it.
//!
//! A cursor is 33 bytes in base64url: a format number, a seal, and the time and
//! id of the last row seen. The seal is a digest of the filter and the place,
//! so a cursor of another filter, another person or with damage is refused. It
//! is no secret: whoever forges one reads only what the filter lets them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plimsoll_core::digest::Digest;
use plimsoll_core::id::{KeyId, ModelId, PredictionId, UserId, VersionId};
use plimsoll_core::time::Timestamp;

use super::PredictionStatus;

/// First byte of every cursor; another layout or another seal gets another number.
const FORMAT: u8 = 1;
const SEAL_BYTES: usize = 8;

/// Which predictions a list shows, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictionFilter {
    /// Only this person's.
    pub owner: UserId,
    /// Only of these models, as a key may be limited to them; empty = all.
    pub models: Vec<ModelId>,
    /// Only of this model.
    pub model: Option<ModelId>,
    /// Only of this version.
    pub version: Option<VersionId>,
    /// Only through this endpoint.
    pub endpoint: Option<String>,
    /// Only with this key.
    pub key: Option<KeyId>,
    /// Only with this outcome.
    pub status: Option<PredictionStatus>,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub to: Option<Timestamp>,
    /// Only with this text in the input, the output or one of the request ids,
    /// whatever the case of its ASCII letters. Input and output are JSON texts.
    pub search: Option<String>,
    /// Most items of a page.
    pub limit: u32,
}

/// The text is no cursor of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the cursor of an earlier page with the same filters")]
pub struct InvalidCursor;

/// A place in a list: everything after it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub(super) created_at: i64,
    pub(super) id: PredictionId,
}

impl PredictionFilter {
    /// All of a person's predictions, 50 on a page.
    pub const fn of(owner: UserId) -> Self {
        Self {
            owner,
            models: Vec::new(),
            model: None,
            version: None,
            endpoint: None,
            key: None,
            status: None,
            from: None,
            to: None,
            search: None,
            limit: 50,
        }
    }

    /// Where a page of this list ended, from the cursor it gave. The limit may
    /// have changed since, nothing else.
    pub fn position(&self, cursor: &str) -> Result<Position, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
        let Some((&FORMAT, rest)) = bytes.split_first() else {
            return Err(InvalidCursor);
        };
        let (seal, place) = rest.split_at_checked(SEAL_BYTES).ok_or(InvalidCursor)?;
        let (created_at, id) = place.split_at_checked(8).ok_or(InvalidCursor)?;
        let position = Position {
            created_at: i64::from_be_bytes(created_at.try_into().map_err(|_| InvalidCursor)?),
            id: PredictionId::from_u128(u128::from_be_bytes(
                id.try_into().map_err(|_| InvalidCursor)?,
            )),
        };
        if seal == self.seal(position) {
            Ok(position)
        } else {
            Err(InvalidCursor)
        }
    }

    pub(super) fn cursor(&self, position: Position) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend(self.seal(position));
        bytes.extend(position.bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn seal(&self, position: Position) -> [u8; SEAL_BYTES] {
        let Self {
            owner,
            models,
            model,
            version,
            endpoint,
            key,
            status,
            from,
            to,
            search,
            ..
        } = self;
        let status = status.map(PredictionStatus::name);
        let filter = (owner, models, model, version, endpoint, key, status);
        let range = (from.map(Timestamp::as_micros), to.map(Timestamp::as_micros));
        let mut sealed = serde_json::to_vec(&(filter, range, search))
            .expect("invariant: ids, numbers and texts always serialise");
        sealed.extend(position.bytes());
        *Digest::of(&sealed)
            .as_bytes()
            .first_chunk()
            .expect("invariant: a digest is longer than a seal")
    }
}

impl Position {
    /// Before all rows that are older than `to`.
    pub(super) fn start(to: Option<Timestamp>) -> Self {
        match to {
            Some(to) => Self::before(to.as_micros()),
            None => Self {
                created_at: i64::MAX,
                id: PredictionId::from_u128(u128::MAX),
            },
        }
    }

    /// Before all rows older than `created_at`, behind all that are not.
    pub(super) const fn before(created_at: i64) -> Self {
        Self {
            created_at,
            id: PredictionId::from_u128(0),
        }
    }

    /// The latest time a row behind this place can have.
    pub(super) const fn latest(self) -> i64 {
        if self.id.as_u128() == 0 {
            self.created_at.saturating_sub(1)
        } else {
            self.created_at
        }
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        let created_at = self.created_at.to_be_bytes();
        created_at
            .into_iter()
            .chain(self.id.as_u128().to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> PredictionFilter {
        PredictionFilter::of(UserId::from_u128(1))
    }

    const PLACE: Position = Position {
        created_at: 1_763_711_340_000_001,
        id: PredictionId::from_u128(7),
    };

    #[test]
    fn a_cursor_leads_back_to_its_place_with_any_limit() {
        let filter = ann();
        let cursor = filter.cursor(PLACE);
        assert_eq!(cursor.len(), 44);
        let smaller = PredictionFilter { limit: 1, ..filter };
        assert_eq!(smaller.position(&cursor), Ok(PLACE));
    }

    #[test]
    fn another_filter_refuses_a_cursor() {
        let cursor = ann().cursor(PLACE);
        let others = [
            PredictionFilter::of(UserId::from_u128(2)),
            PredictionFilter {
                models: vec![ModelId::from_u128(1)],
                ..ann()
            },
            PredictionFilter {
                model: Some(ModelId::from_u128(1)),
                ..ann()
            },
            PredictionFilter {
                version: Some(VersionId::from_u128(1)),
                ..ann()
            },
            PredictionFilter {
                endpoint: Some("a".into()),
                ..ann()
            },
            PredictionFilter {
                key: Some(KeyId::from_u128(1)),
                ..ann()
            },
            PredictionFilter {
                status: Some(PredictionStatus::Error),
                ..ann()
            },
            PredictionFilter {
                from: Some(Timestamp::from_micros(0)),
                ..ann()
            },
            PredictionFilter {
                to: Some(Timestamp::from_micros(0)),
                ..ann()
            },
            PredictionFilter {
                search: Some("a".into()),
                ..ann()
            },
        ];
        for other in others {
            assert_eq!(other.position(&cursor), Err(InvalidCursor), "{other:?}");
            assert_eq!(other.position(&other.cursor(PLACE)), Ok(PLACE));
        }
    }

    #[test]
    fn every_damage_is_noticed() {
        let filter = ann();
        let cursor = filter.cursor(PLACE);
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let damaged = URL_SAFE_NO_PAD.encode(damaged);
            assert_eq!(filter.position(&damaged), Err(InvalidCursor), "bit {bit}");
        }
        for length in 0..cursor.len() {
            assert_eq!(filter.position(&cursor[..length]), Err(InvalidCursor));
        }
        for foreign in [format!("{cursor}AA"), "ä".into(), "=".into(), "null".into()] {
            assert_eq!(filter.position(&foreign), Err(InvalidCursor), "{foreign}");
        }
    }
}
