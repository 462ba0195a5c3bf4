//! The classes and functions that may stand in a scikit-learn file, beside those of [`classes`].
//!
//! Whatever is missing here is refused by name: a class of scikit-learn with
//! the way to export it, anything else as unsafe. Being on this list gives
//! nothing the power to run; it only says the name belongs to a model.

use super::{classes, preprocess, select};
use crate::EngineError;
use crate::formats::recipes;
use crate::reader::pickle::{Role, Verdict};
use crate::reader::printable;

/// Module, name and meaning of what is no class of a model. `numpy.core` became `numpy._core` in numpy 2.0,
/// `__builtin__` and `copy_reg` are what protocols 0 to 2 write for Python 3's names.
const KNOWN: &[(&str, &str, Role)] = &[
    (
        "sklearn.utils._metadata_requests",
        "MetadataRequest",
        Role::Inert,
    ),
    (
        "sklearn.utils._metadata_requests",
        "MethodMetadataRequest",
        Role::Inert,
    ),
    // How a ColumnTransformer was told its columns; what was chosen stands beside it.
    (
        "sklearn.compose._column_transformer",
        "_RemainderColsList",
        Role::Inert,
    ),
    (
        "sklearn.compose._column_transformer",
        "make_column_selector",
        Role::Inert,
    ),
    ("sklearn.utils._bunch", "Bunch", Role::Inert),
    (
        "joblib.numpy_pickle",
        "NumpyArrayWrapper",
        Role::JoblibArray,
    ),
    ("numpy", "dtype", Role::Dtype),
    ("numpy", "ndarray", Role::Ndarray),
    ("numpy", "memmap", Role::Ndarray),
    ("numpy._core.multiarray", "_reconstruct", Role::Reconstruct),
    ("numpy._core.multiarray", "scalar", Role::Scalar),
    ("numpy._core.numeric", "_frombuffer", Role::FromBuffer),
    ("numpy.core.multiarray", "_reconstruct", Role::Reconstruct),
    ("numpy.core.multiarray", "scalar", Role::Scalar),
    ("numpy.core.numeric", "_frombuffer", Role::FromBuffer),
    ("numpy", "bool", Role::Inert),
    ("numpy", "bool_", Role::Inert),
    ("numpy", "float32", Role::Inert),
    ("numpy", "float64", Role::Inert),
    ("numpy", "int32", Role::Inert),
    ("numpy", "int64", Role::Inert),
    ("numpy", "floating", Role::Inert),
    ("numpy", "integer", Role::Inert),
    ("numpy", "number", Role::Inert),
    ("numpy", "object_", Role::Inert),
    ("numpy", "vectorize", Role::Inert),
    ("numpy.lib.function_base", "vectorize", Role::Inert),
    ("numpy.ma", "MaskedArray", Role::Inert),
    ("numpy.ma.core", "MaskedArray", Role::Inert),
    ("numpy.ma.core", "_mareconstruct", Role::Inert),
    ("numpy", "str_", Role::Inert),
    ("numpy.random._generator", "Generator", Role::Inert),
    ("numpy.random._mt19937", "MT19937", Role::Inert),
    ("numpy.random._pickle", "__bit_generator_ctor", Role::Inert),
    ("numpy.random._pickle", "__randomstate_ctor", Role::Inert),
    ("numpy.random._pickle", "__generator_ctor", Role::Inert),
    ("numpy.random._pcg64", "PCG64", Role::Inert),
    ("numpy.random.bit_generator", "SeedSequence", Role::Inert),
    ("numpy.random.mtrand", "RandomState", Role::Inert),
    (
        "numpy.random.bit_generator",
        "__pyx_unpickle_SeedSequence",
        Role::Inert,
    ),
    // The weights of words, before 1.4.
    ("scipy.sparse._csr", "csr_matrix", Role::Inert),
    ("scipy.sparse._dia", "dia_matrix", Role::Inert),
    // Trees of neighbours and their metrics, which nothing here searches, and how clusters were fitted.
    ("sklearn.metrics._dist_metrics", "newObj", Role::Inert),
    ("sklearn.neighbors._ball_tree", "newObj", Role::Inert),
    ("sklearn.neighbors._kd_tree", "newObj", Role::Inert),
    (
        "sklearn.cluster._kmeans",
        "_kmeans_single_elkan",
        Role::Inert,
    ),
    (
        "sklearn.cluster._kmeans",
        "_kmeans_single_lloyd",
        Role::Inert,
    ),
    (
        "sklearn.neighbors._unsupervised",
        "NearestNeighbors",
        Role::Inert,
    ),
    // The splines of a SplineTransformer, and how they were told their type of array.
    (
        "scipy._lib.array_api_compat.numpy._aliases",
        "asarray",
        Role::Inert,
    ),
    ("scipy.interpolate._bsplines", "BSpline", Role::Inert),
    ("_codecs", "encode", Role::Encode),
    // How histogram gradient boosting checks the rows before it encodes categories.
    ("functools", "partial", Role::Partial),
    ("sklearn.utils.validation", "check_array", Role::Inert),
    ("collections", "OrderedDict", Role::Inert),
    ("collections", "defaultdict", Role::Inert),
    ("copy_reg", "_reconstructor", Role::Reconstructor),
    ("copyreg", "_reconstructor", Role::Reconstructor),
    ("__builtin__", "bool", Role::Inert),
    ("__builtin__", "bytearray", Role::Inert),
    ("__builtin__", "bytes", Role::Inert),
    ("__builtin__", "float", Role::Inert),
    ("__builtin__", "frozenset", Role::Inert),
    ("__builtin__", "int", Role::Inert),
    ("__builtin__", "object", Role::Inert),
    ("__builtin__", "set", Role::Inert),
    ("__builtin__", "slice", Role::Inert),
    ("__builtin__", "str", Role::Inert),
    ("builtins", "bool", Role::Inert),
    ("builtins", "bytearray", Role::Inert),
    ("builtins", "bytes", Role::Inert),
    ("builtins", "float", Role::Inert),
    ("builtins", "frozenset", Role::Inert),
    ("builtins", "int", Role::Inert),
    ("builtins", "getattr", Role::Method),
    ("builtins", "object", Role::Inert),
    ("builtins", "set", Role::Inert),
    ("builtins", "slice", Role::Inert),
    ("builtins", "str", Role::Inert),
];

/// Parts of models that are not written like classes.
const UNSERVED_PARTS: &[(&str, &str)] = &[
    ("scipy.sparse._csc", "csc_array"),
    ("scipy.sparse._csc", "csc_matrix"),
    ("scipy.sparse._csr", "csr_array"),
    ("scipy.sparse._csr", "csr_matrix"),
    ("scipy.sparse._dia", "dia_array"),
    ("scipy.sparse._dia", "dia_matrix"),
];

/// Modules of the losses and metrics that estimators keep: carriers of a few numbers. scikit-learn 1.4
/// and 1.5 write their compiled losses without the package.
const CARRIERS: &[&str] = &[
    "_loss",
    "sklearn._loss._loss",
    "sklearn._loss.link",
    "sklearn._loss.loss",
    "sklearn.ensemble._gb_losses",
    "sklearn.linear_model._sgd_fast",
    "sklearn.metrics._dist_metrics",
];

/// What this product makes of a global.
pub(super) fn judge(module: &str, name: &str) -> Verdict {
    let known = KNOWN
        .iter()
        .find(|known| known.0 == module && known.1 == name);
    if let Some((_, _, role)) = known {
        return Verdict::Known(*role);
    }
    if preprocess::is_function(module, name) || select::is_score(module, name) {
        return Verdict::Known(Role::Inert);
    }
    if classes::is_served(module, name) {
        return Verdict::Known(Role::Estimator);
    }
    if is_kept_by_searches(module, name) {
        return Verdict::Known(Role::Inert);
    }
    if CARRIERS.contains(&module) && is_library_class(module, name) {
        return Verdict::Known(Role::Inert);
    }
    let is_unserved = is_library_class(module, name) || UNSERVED_PARTS.contains(&(module, name));
    if is_unserved {
        return Verdict::Unserved(unserved(module, name));
    }
    if is_sampler(module, name) {
        return Verdict::Known(Role::Inert);
    }
    match recipes::refusal(module, name) {
        Some(refusal) => Verdict::Unserved(refusal),
        None => Verdict::Foreign,
    }
}

/// Whether this is written as a class of scikit-learn, XGBoost or LightGBM: a
/// dotted lower-case module and a name in camel case without dots, all ASCII.
fn is_library_class(module: &str, name: &str) -> bool {
    let mut segments = module.split('.');
    let root = segments.next();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_module = |segment: &str| {
        let lower = segment.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        lower && segment.chars().all(word)
    };
    let bare = name.strip_prefix("__pyx_unpickle_").unwrap_or(name);
    let bare = bare.trim_start_matches('_');
    let is_library = match root {
        Some("sklearn" | "xgboost" | "lightgbm") => true,
        // scikit-learn 1.4 and 1.5 write their compiled losses without the package.
        Some("_loss") => module == "_loss" && bare.starts_with("Cy"),
        _ => false,
    };
    is_library
        && segments.all(is_module)
        && bare.starts_with(|c: char| c.is_ascii_uppercase())
        && bare.chars().all(word)
}

/// Whether this is a sampler of imbalanced-learn, which only fitting asks.
pub(super) fn is_sampler(module: &str, name: &str) -> bool {
    let families = ["over_sampling", "under_sampling", "combine"];
    let mut segments = module.split('.');
    segments.next() == Some("imblearn")
        && segments
            .next()
            .is_some_and(|family| families.contains(&family))
        && segments.all(is_snake_case_or_private)
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_snake_case_or_private(segment: &str) -> bool {
    is_snake_case(segment.trim_start_matches('_'))
}

/// Whether this is something a search keeps beside the model it found: how it
/// split the rows and scored, and what it drew parameters from. No reader looks at it.
fn is_kept_by_searches(module: &str, name: &str) -> bool {
    match module {
        "sklearn.model_selection._split" => is_library_class(module, name),
        "sklearn.metrics._scorer" => {
            name == "_passthrough_scorer" || is_library_class(module, name)
        }
        "sklearn.model_selection._classification_threshold" => name == "_CurveScorer",
        "scipy.stats._continuous_distns" | "scipy.stats._discrete_distns" => {
            name.strip_suffix("_gen").is_some_and(is_snake_case)
        }
        "scipy.stats._distn_infrastructure" => matches!(
            name,
            "rv_frozen" | "rv_continuous_frozen" | "rv_discrete_frozen"
        ),
        _ => is_metric(module, name),
    }
}

/// Whether this is a metric of scikit-learn, as the scorers of searches hold one.
fn is_metric(module: &str, name: &str) -> bool {
    let modules = ["_classification", "_ranking", "_regression"];
    let module = module.strip_prefix("sklearn.metrics.");
    module.is_some_and(|module| modules.contains(&module)) && is_snake_case(name)
}

fn is_snake_case(name: &str) -> bool {
    let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(snake)
}

/// The refusal of a known class, with the lines that lead out.
pub(super) fn unserved(module: &str, name: &str) -> EngineError {
    let advice = match module.split('.').next() {
        Some("xgboost" | "lightgbm") => {
            "export it to ONNX with onnxmltools and upload that file".to_owned()
        }
        _ => onnx_advice(),
    };
    EngineError::Unsupported {
        what: printable(&format!("{module}.{name}")),
        advice,
    }
}

/// The lines that export any fitted estimator to ONNX.
pub(super) fn onnx_advice() -> String {
    "export it to ONNX and upload that file: pip install skl2onnx; \
     from skl2onnx import to_onnx; \
     options = {\"zipmap\": False} if hasattr(model, \"classes_\") else None; \
     onnx = to_onnx(model, X_train[:1].astype(\"float32\"), options=options); \
     open(\"model.onnx\", \"wb\").write(onnx.SerializeToString())"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_scikit_learn_are_unserved_and_everything_else_is_foreign() {
        let unserved = [
            ("sklearn.gaussian_process._gpr", "GaussianProcessRegressor"),
            ("sklearn.manifold._t_sne", "TSNE"),
            ("xgboost.dask", "DaskXGBClassifier"),
            ("torch.nn.modules.linear", "Linear"),
            ("pandas.core.frame", "DataFrame"),
        ];
        for (module, name) in unserved {
            assert!(
                matches!(judge(module, name), Verdict::Unserved(_)),
                "{module}.{name}"
            );
        }
        let inert = [
            ("sklearn.metrics._regression", "r2_score"),
            ("sklearn.metrics._scorer", "_passthrough_scorer"),
            ("sklearn.model_selection._split", "KFold"),
            ("scipy.stats._continuous_distns", "reciprocal_gen"),
            ("scipy.stats._distn_infrastructure", "rv_continuous_frozen"),
        ];
        for (module, name) in inert {
            let verdict = judge(module, name);
            assert!(
                matches!(verdict, Verdict::Known(Role::Inert)),
                "{module}.{name}"
            );
        }
        let foreign = [
            ("scipy.stats._continuous_distns", "os.system_gen"),
            ("scipy.stats._distn_infrastructure", "exec"),
            ("sklearn.metrics._scorer", "os"),
            ("os", "system"),
            ("builtins", "eval"),
            ("sklearn.utils._joblib", "os.system"),
            ("sklearn.utils._joblib.os", "system"),
            ("sklearn.utils", "Bunch.__init__"),
            ("sklearn..os", "System"),
            ("sklearnx", "SVC"),
            ("\u{455}klearn.svm._classes", "SVC"),
            ("sklearn.svm._classes", "\u{405}VC"),
            ("sklearn.ensemble._forest", "RandomForestClassifier.fit"),
            ("imblearn.over_sampling._smote.base", "SMOTE.fit"),
            ("scipy.io.matlab", "loadmat"),
            ("torch.nn", "Linear.__init__"),
            ("torchx", "Linear"),
            ("", ""),
        ];
        for (module, name) in foreign {
            assert!(
                matches!(judge(module, name), Verdict::Foreign),
                "{module}.{name}"
            );
        }
    }

    #[test]
    fn losses_are_known_and_mean_nothing() {
        for (module, name) in [
            ("_loss", "__pyx_unpickle_CyHalfMultinomialLoss"),
            ("sklearn._loss._loss", "__pyx_unpickle_CyHalfBinomialLoss"),
            ("sklearn._loss.link", "LogLink"),
            ("sklearn.linear_model._sgd_fast", "Hinge"),
        ] {
            let verdict = judge(module, name);
            assert!(
                matches!(verdict, Verdict::Known(Role::Inert)),
                "{module}.{name}"
            );
        }
        for (module, name) in [("_loss", "Popen"), ("sklearn._loss.loss", "np.load")] {
            let verdict = judge(module, name);
            assert!(matches!(verdict, Verdict::Foreign), "{module}.{name}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_export_the_class() {
        let refusal = unserved("sklearn.svm._classes", "SVC").to_string();
        assert!(refusal.contains("sklearn.svm._classes.SVC"), "{refusal}");
        assert!(refusal.contains("to_onnx(model"), "{refusal}");
    }
}
