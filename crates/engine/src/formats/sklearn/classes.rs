//! The classes of fitted models that are served: the table of who reads which.
//!
//! A family file lists its classes beside the functions that read them. A class
//! that is on no list is refused by name before anything of it is looked at.

use super::estimator::Estimator;
use super::plan::{HeadPlan, StepPlan};
use super::{
    boosters, boosting, compose, encode, histogram, impute, isolation, linear, meta, pipeline,
    preprocess, reduce, scale, select, text, trees,
};
use crate::EngineError;

/// Module, name, and what a class is read as. A class that moved stands here twice.
pub(super) type Class = (&'static str, &'static str, Reader);

/// How an object of a class becomes a part of a model.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// Steps and perhaps a head, flattened into those around it.
    Pipeline,
    /// Another estimator stands in for it: the attribute of this name.
    Delegates(&'static str),
    /// Rows become other rows.
    Step(for<'r> fn(Estimator<'r>) -> Result<StepPlan<'r>, EngineError>),
    /// Rows become answers.
    Head(for<'r> fn(Estimator<'r>) -> Result<HeadPlan<'r>, EngineError>),
    /// A piece of an estimator, which that one reads itself.
    Part,
}

/// All families.
const FAMILIES: &[&[Class]] = &[
    pipeline::CLASSES,
    linear::CLASSES,
    super::svm::CLASSES,
    super::generative::CLASSES,
    super::mixture::CLASSES,
    super::spline::CLASSES,
    super::layers::CLASSES,
    super::neighbours::CLASSES,
    super::clusters::CLASSES,
    super::dummies::CLASSES,
    meta::CLASSES,
    trees::CLASSES,
    boosters::CLASSES,
    boosting::CLASSES,
    histogram::CLASSES,
    isolation::CLASSES,
    scale::CLASSES,
    compose::CLASSES,
    impute::CLASSES,
    encode::CLASSES,
    preprocess::CLASSES,
    reduce::CLASSES,
    select::CLASSES,
    text::CLASSES,
];

/// Whether the class `name` of `module` is served.
pub(super) fn is_served(module: &str, name: &str) -> bool {
    let mut classes = FAMILIES.iter().copied().flatten();
    classes.any(|class| class.0 == module && class.1 == name)
}

/// How objects of the served class `name` are read. Names are unique among served classes.
pub(super) fn reader(name: &str) -> Option<Reader> {
    let mut classes = FAMILIES.iter().copied().flatten();
    classes.find(|class| class.1 == name).map(|class| class.2)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_class_that_stands_twice_is_read_alike() {
        let mut kinds = HashMap::new();
        for (_, name, reader) in FAMILIES.iter().copied().flatten() {
            let kind = std::mem::discriminant(reader);
            assert_eq!(*kinds.entry(name).or_insert(kind), kind, "{name}");
        }
    }
}
