//! What stands in for values that are not kept: applied where requests are
//! recorded, keyed with the installation's secret.

use hmac::{Hmac, KeyInit, Mac};
use plimsoll_core::column::{Batch, Column, Values};
use plimsoll_core::digest::Digest;
use plimsoll_core::record::{CapturePolicy, Redacted, Redaction, masked};
use plimsoll_core::schema::{Schema, Slot};
use plimsoll_core::secret::Secret;
use sha2::Sha256;

use crate::auth::derive_key;

/// Hexadecimal digits of a pseudonym: 128 bits, so that no two values meet.
const PSEUDONYM_DIGITS: usize = 32;

/// HMAC-SHA256 (RFC 2104) with one key per use. Without the installation's
/// secret, a digest cannot be compared with the digests of guessed values.
pub(crate) struct CaptureKeys {
    pseudonyms: Hmac<Sha256>,
    payloads: Hmac<Sha256>,
}

impl std::fmt::Debug for CaptureKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaptureKeys")
    }
}

impl CaptureKeys {
    pub(crate) fn new(secret: &Secret<Vec<u8>>) -> Self {
        let keyed = |label: &[u8]| {
            Hmac::new_from_slice(&derive_key(secret.expose(), label))
                .expect("invariant: HMAC takes keys of any length")
        };
        Self {
            pseudonyms: keyed(b"plimsoll pseudonym 1"),
            payloads: keyed(b"plimsoll payload 1"),
        }
    }

    /// The digest of an input or an output as JSON text.
    pub(crate) fn payload(&self, text: &str) -> Digest {
        digest(&self.payloads, text)
    }

    /// The same for the same value in every model of the installation.
    fn pseudonym(&self, value: &str) -> String {
        let mut text = digest(&self.pseudonyms, value).to_string();
        text.truncate(PSEUDONYM_DIGITS);
        text
    }
}

fn digest(keyed: &Hmac<Sha256>, text: &str) -> Digest {
    let mut mac = keyed.clone();
    mac.update(text.as_bytes());
    Digest::from_bytes(mac.finalize().into_bytes().into())
}

/// The redacted fields of one version, placed in its blocks.
#[derive(Debug, Default)]
pub(crate) struct Redactions(Box<[Placed]>);

#[derive(Debug)]
struct Placed {
    field: u32,
    redaction: Redaction,
    slot: Slot,
    /// Elements in one row; `None` for a field that fills its block, whose
    /// width the request chooses.
    width: Option<usize>,
}

/// What stands in for one field, element by element; nothing for a dropped one.
pub(crate) type StandIns = Vec<Option<String>>;

impl Redactions {
    /// The fields of `schema` that the policy names.
    pub(crate) fn of(policy: &CapturePolicy, schema: &Schema) -> Self {
        let place = |(name, redaction): (&String, &Redaction)| {
            let index = schema.position(name)?;
            Some(Placed {
                field: u32::try_from(index).ok()?,
                redaction: *redaction,
                slot: schema.slots()[index],
                width: schema.inputs()[index].width(),
            })
        };
        Self(policy.redact.iter().filter_map(place).collect())
    }

    /// What stands in for each field in this batch. Without redacted fields,
    /// nothing is done and nothing allocated.
    pub(crate) fn stand_ins(&self, batch: &Batch, keys: &CaptureKeys) -> Vec<StandIns> {
        let of = |placed: &Placed| {
            // A request that failed before its body was read has no columns.
            let Some(column) = batch.columns.get(placed.slot.block) else {
                return Vec::new();
            };
            match placed.redaction {
                Redaction::Keep | Redaction::Drop => Vec::new(),
                Redaction::Mask { keep_last } => {
                    placed.texts(column, batch.rows, |text| masked(text, keep_last))
                }
                Redaction::Pseudonym => {
                    placed.texts(column, batch.rows, |text| keys.pseudonym(text))
                }
            }
        };
        self.0.iter().map(of).collect()
    }

    /// The fields as a record names them.
    pub(crate) fn redacted<'a>(
        &self,
        batch: &Batch,
        stand_ins: &'a [StandIns],
    ) -> Vec<Redacted<'a>> {
        let of = |(placed, stand_ins): (&Placed, &'a StandIns)| Redacted {
            field: placed.field,
            redaction: placed.redaction,
            slot: placed.slot,
            width: batch
                .columns
                .get(placed.slot.block)
                .map_or(0, |column| placed.width_in(column)),
            stand_ins,
        };
        self.0.iter().zip(stand_ins).map(of).collect()
    }
}

impl Placed {
    fn width_in(&self, column: &Column) -> usize {
        self.width.unwrap_or(column.width)
    }

    /// Each element of the field as a text, row by row, and what becomes of it.
    fn texts(&self, column: &Column, rows: usize, stand_in: impl Fn(&str) -> String) -> StandIns {
        let width = self.width_in(column);
        let places = (0..rows).flat_map(|row| {
            let start = row * column.width + self.slot.offset;
            start..start + width
        });
        places
            .map(|at| text_of(&column.values, at).map(|text| stand_in(&text)))
            .collect()
    }
}

/// One element as a text, numbers in decimal; `None` if it is missing.
fn text_of(values: &Values, at: usize) -> Option<String> {
    match values {
        Values::Float32(v) => (!v[at].is_nan()).then(|| v[at].to_string()),
        Values::Float64(v) => (!v[at].is_nan()).then(|| v[at].to_string()),
        Values::Int64(v) => Some(v[at].to_string()),
        Values::Bool(v) => Some(v[at].to_string()),
        Values::Text(v) => v[at].clone(),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::schema::{DataType, Field};

    use super::*;

    fn keys() -> CaptureKeys {
        CaptureKeys::new(&Secret::new(b"secret".to_vec()))
    }

    fn policy(redact: &[(&str, Redaction)]) -> CapturePolicy {
        let named = |(name, redaction): &(&str, Redaction)| ((*name).to_owned(), *redaction);
        CapturePolicy {
            redact: redact.iter().map(named).collect(),
            ..CapturePolicy::default()
        }
    }

    fn people() -> (Schema, Batch) {
        let schema = Schema::packed(vec![
            Field::scalar("age", DataType::Float64).nullable(),
            Field::scalar("city", DataType::String).nullable(),
            Field::scalar("income", DataType::Float64).nullable(),
        ])
        .unwrap();
        let city = |name: &str| Some(name.to_owned());
        let column = |values, width| Column {
            values,
            width,
            shape: Vec::new(),
        };
        let batch = Batch {
            rows: 2,
            columns: vec![
                column(Values::Float64(vec![36.5, 1000.0, f64::NAN, 2000.0]), 2),
                column(Values::Text(vec![city("Bergen"), None]), 1),
            ],
        };
        (schema, batch)
    }

    #[test]
    fn each_field_is_found_where_its_schema_placed_it() {
        let (schema, batch) = people();
        let mask = Redaction::Mask { keep_last: 2 };
        let rules = policy(&[
            ("absent", Redaction::Drop),
            ("city", mask),
            ("income", mask),
        ]);
        let redactions = Redactions::of(&rules, &schema);
        let stand_ins = redactions.stand_ins(&batch, &keys());
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(stand_ins[0], [said("***en"), None]);
        assert_eq!(stand_ins[1], [said("***00"), said("***00")]);
        let redacted = redactions.redacted(&batch, &stand_ins);
        let places: Vec<_> = redacted
            .iter()
            .map(|r| (r.field, r.slot.block, r.slot.offset, r.width))
            .collect();
        assert_eq!(places, [(1, 1, 0, 1), (2, 0, 1, 1)]);
    }

    #[test]
    fn missing_stays_missing_and_equal_values_stay_equal() {
        let (schema, batch) = people();
        let redactions = Redactions::of(&policy(&[("age", Redaction::Pseudonym)]), &schema);
        let one = redactions.stand_ins(&batch, &keys());
        assert_eq!(one[0][1], None);
        assert_eq!(one, redactions.stand_ins(&batch, &keys()));
        let other = CaptureKeys::new(&Secret::new(b"another".to_vec()));
        assert_ne!(one, redactions.stand_ins(&batch, &other));
        assert_ne!(
            keys().pseudonym("a"),
            keys().payload("a").to_string()[..PSEUDONYM_DIGITS]
        );
    }

    #[test]
    fn a_field_of_any_length_is_covered_whole() {
        let mut field = Field::scalar("tokens", DataType::Int64);
        field.shape = vec![None];
        let schema = Schema::separate(vec![field]).unwrap();
        let batch = Batch {
            rows: 2,
            columns: vec![Column {
                values: Values::Int64(vec![1, 2, 3, 4, 5, 6]),
                width: 3,
                shape: vec![3],
            }],
        };
        let redactions = Redactions::of(&policy(&[("tokens", Redaction::Pseudonym)]), &schema);
        let stand_ins = redactions.stand_ins(&batch, &keys());
        assert_eq!(stand_ins[0].len(), 6);
        assert_eq!(redactions.redacted(&batch, &stand_ins)[0].width, 3);
    }
}
