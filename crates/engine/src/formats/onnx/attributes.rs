//! The attributes of a node, decoded when they are asked for.
//!
//! An attribute that is not there is `None`, or an empty list: defaults are the operator's.

use super::constant::Constant;
use super::wire::{Fields, Value, malformed, push_floats, push_ints};
use crate::EngineError;

/// Messages of attributes by name.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(&'a str, &'a [u8])>);

/// Field numbers of `AttributeProto`.
const FLOAT: u64 = 2;
const INT: u64 = 3;
const TEXT: u64 = 4;
const TENSOR: u64 = 5;
const FLOATS: u64 = 7;
const INTS: u64 = 8;
const TEXTS: u64 = 9;

impl<'a> Attributes<'a> {
    pub(super) fn push(&mut self, name: &'a str, message: &'a [u8]) {
        self.0.push((name, message));
    }

    /// Whether there is an attribute of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// The names of all attributes.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| *name)
    }

    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, EngineError> {
        self.last(name, INT)?.map(Value::int).transpose()
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, EngineError> {
        match self.last(name, FLOAT)? {
            Some(Value::Four(bytes)) => Ok(Some(f32::from_le_bytes(bytes))),
            Some(_) => Err(malformed(format!("attribute {name:?} is no float"))),
            None => Ok(None),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, EngineError> {
        self.last(name, TEXT)?.map(Value::text).transpose()
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<Constant>, EngineError> {
        let tensor = self.last(name, TENSOR)?;
        tensor
            .map(|value| Constant::read(value.bytes()?))
            .transpose()
    }

    pub(super) fn ints(&self, name: &str) -> Result<Vec<i64>, EngineError> {
        let mut ints = Vec::new();
        self.each(name, INTS, |value| push_ints(value, &mut ints))?;
        Ok(ints)
    }

    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, EngineError> {
        let mut floats = Vec::new();
        self.each(name, FLOATS, |value| push_floats(value, &mut floats))?;
        Ok(floats)
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<&'a str>, EngineError> {
        let mut texts = Vec::new();
        self.each(name, TEXTS, |value| {
            texts.push(value.text()?);
            Ok(())
        })?;
        Ok(texts)
    }

    fn last(&self, name: &str, number: u64) -> Result<Option<Value<'a>>, EngineError> {
        let mut last = None;
        self.each(name, number, |value| {
            last = Some(value);
            Ok(())
        })?;
        Ok(last)
    }

    fn each(
        &self,
        name: &str,
        number: u64,
        mut then: impl FnMut(Value<'a>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let Some((_, message)) = self.0.iter().find(|(known, _)| *known == name) else {
            return Ok(());
        };
        for field in Fields::new(message) {
            let (found, value) = field?;
            if found == number {
                then(value)?;
            }
        }
        Ok(())
    }
}
