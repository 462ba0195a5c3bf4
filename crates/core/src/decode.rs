//! JSON inputs to a [`Batch`](crate::column::Batch): the one coercion table for all callers.
