//! What an endpoint refuses before its model runs.

use plimsoll_core::column::{Batch, Values};
use plimsoll_core::decode::DecodeError;
use plimsoll_core::endpoint::Bounds;
use plimsoll_core::field::{FieldError, push_pointer};
use plimsoll_core::schema::Schema;
use plimsoll_core::time::Timestamp;

use crate::Error;
use crate::limits::{Policy, Standing, refused};
use crate::live::EndpointEntry;
use crate::meters::Meters;

/// Most values out of bounds that one answer names.
const NAMED: usize = 20;

/// Takes one of the endpoint's requests per window, if it has a limit.
pub(super) fn take_quota(
    endpoint: &EndpointEntry,
    meters: &Meters,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(limit) = endpoint.guardrails.rate_limit else {
        return Ok(());
    };
    let decision = endpoint
        .room
        .quota
        .take(limit.requests, limit.window(), now);
    if decision.allowed {
        return Ok(());
    }
    let standing = Standing::new(Policy::Endpoint, limit.window(), decision, now);
    Err(refused(meters, standing.into(), decision.retry_after))
}

/// Refuses numbers that lie out of bounds, and names them. Inputs that the model
/// does not have, or that are no numbers, are bounded by nothing.
pub(super) fn within_bounds(
    bounds: &[Bounds],
    schema: &Schema,
    batch: &Batch,
) -> Result<(), DecodeError> {
    let mut errors = Vec::new();
    for bound in bounds {
        let Some(field) = schema.position(&bound.input) else {
            continue;
        };
        let slot = schema.slots()[field];
        let column = &batch.columns[slot.block];
        let width = schema.inputs()[field].width().unwrap_or(column.width);
        for row in 0..batch.rows {
            let start = row * column.width + slot.offset;
            let outside = (start..start + width).any(|at| !accepts(bound, &column.values, at));
            if outside && errors.len() < NAMED {
                errors.push(refusal(bound, row));
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::Invalid(errors))
    }
}

#[expect(clippy::cast_precision_loss, reason = "bounds are doubles")]
fn accepts(bound: &Bounds, values: &Values, at: usize) -> bool {
    match values {
        Values::Float32(values) => bound.accept(f64::from(values[at])),
        Values::Float64(values) => bound.accept(values[at]),
        Values::Int64(values) => bound.accept(values[at] as f64),
        Values::Bool(_) | Values::Text(_) => true,
    }
}

fn refusal(bound: &Bounds, row: usize) -> FieldError {
    let mut pointer = format!("/inputs/{row}");
    push_pointer(&mut pointer, &bound.input);
    let end = |end: Option<f64>| end.map_or("any".to_owned(), |end| end.to_string());
    let expected = format!("{} to {}", end(bound.min), end(bound.max));
    FieldError::new(
        pointer,
        "out-of-bounds",
        "the value lies outside what this endpoint accepts",
    )
    .expected_got(expected, "number")
}
