//! Estimators made of estimators.
//!
//! A member is a whole model, translated like any other: what a larger one needs
//! of its rows is what all of its members need together.

use super::classes::{Class, Reader};

pub(super) const CLASSES: &[Class] = &[
    // What a search ended with stands in for it.
    (
        "sklearn.model_selection._search",
        "GridSearchCV",
        Reader::Delegates("best_estimator_"),
    ),
    (
        "sklearn.model_selection._search",
        "RandomizedSearchCV",
        Reader::Delegates("best_estimator_"),
    ),
    (
        "sklearn.model_selection._search_successive_halving",
        "HalvingGridSearchCV",
        Reader::Delegates("best_estimator_"),
    ),
    (
        "sklearn.model_selection._search_successive_halving",
        "HalvingRandomSearchCV",
        Reader::Delegates("best_estimator_"),
    ),
];
