//! Estimators made of estimators.
//!
//! A member is a whole model, translated like any other: what a larger one needs
//! of its rows is what all of its members need together.

mod boosting;
mod calibration;
mod members;
mod outputs;
mod rivals;
mod stacking;
mod target;
mod threshold;
mod voting;

pub(super) use outputs::labels_side_by_side;

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
    (
        "sklearn.ensemble._voting",
        "VotingClassifier",
        Reader::Head(voting::classifier),
    ),
    (
        "sklearn.ensemble._voting",
        "VotingRegressor",
        Reader::Head(voting::regressor),
    ),
    (
        "sklearn.ensemble._bagging",
        "BaggingClassifier",
        Reader::Head(voting::bagging_classifier),
    ),
    (
        "sklearn.ensemble._bagging",
        "BaggingRegressor",
        Reader::Head(voting::bagging_regressor),
    ),
    (
        "sklearn.ensemble._stacking",
        "StackingClassifier",
        Reader::Head(stacking::classifier),
    ),
    (
        "sklearn.ensemble._stacking",
        "StackingRegressor",
        Reader::Head(stacking::regressor),
    ),
    (
        "sklearn.ensemble._weight_boosting",
        "AdaBoostClassifier",
        Reader::Head(boosting::classifier),
    ),
    (
        "sklearn.ensemble._weight_boosting",
        "AdaBoostRegressor",
        Reader::Head(boosting::regressor),
    ),
    (
        "sklearn.calibration",
        "CalibratedClassifierCV",
        Reader::Head(calibration::classifier),
    ),
    (
        "sklearn.multiclass",
        "OneVsRestClassifier",
        Reader::Head(rivals::one_vs_rest),
    ),
    (
        "sklearn.multiclass",
        "OneVsOneClassifier",
        Reader::Head(rivals::one_vs_one),
    ),
    (
        "sklearn.multiclass",
        "OutputCodeClassifier",
        Reader::Head(rivals::output_code),
    ),
    (
        "sklearn.multioutput",
        "MultiOutputRegressor",
        Reader::Head(outputs::regressor),
    ),
    (
        "sklearn.multioutput",
        "MultiOutputClassifier",
        Reader::Head(outputs::classifier),
    ),
    (
        "sklearn.multioutput",
        "RegressorChain",
        Reader::Head(outputs::chain),
    ),
    (
        "sklearn.multioutput",
        "ClassifierChain",
        Reader::Head(outputs::chain),
    ),
    (
        "sklearn.compose._target",
        "TransformedTargetRegressor",
        Reader::Head(target::regressor),
    ),
    (
        "sklearn.model_selection._classification_threshold",
        "FixedThresholdClassifier",
        Reader::Head(threshold::fixed),
    ),
    (
        "sklearn.model_selection._classification_threshold",
        "TunedThresholdClassifierCV",
        Reader::Head(threshold::tuned),
    ),
    (
        "sklearn.frozen._frozen",
        "FrozenEstimator",
        Reader::Delegates("estimator"),
    ),
    ("sklearn.calibration", "_CalibratedClassifier", Reader::Part),
    ("sklearn.calibration", "_SigmoidCalibration", Reader::Part),
    ("sklearn.calibration", "_TemperatureScaling", Reader::Part),
    ("sklearn.multiclass", "_ConstantPredictor", Reader::Part),
    (
        "sklearn.preprocessing._label",
        "LabelBinarizer",
        Reader::Part,
    ),
    ("sklearn.preprocessing._label", "LabelEncoder", Reader::Part),
    (
        "sklearn.isotonic",
        "IsotonicRegression",
        Reader::Head(calibration::isotonic),
    ),
];
