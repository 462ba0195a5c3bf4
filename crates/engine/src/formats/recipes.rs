//! The way out of each library whose fitted models are recognised in a pickle but not served.
//!
//! This is data: a row for each package, by the first part of its modules' names. [`refusal`] is
//! the one place where such a row becomes a sentence.

use crate::EngineError;
use crate::reader::printable;

/// A package, what its models are called, and what their owner can do.
struct Library {
    package: &'static str,
    called: &'static str,
    advice: &'static str,
}

/// How PyTorch's modules become ONNX.
pub(crate) const TORCH: &str = "export it to ONNX where the model's class is at hand: torch.onnx.export(model.eval(), \
     (example,), \"model.onnx\", dynamo=True, dynamic_shapes=({0: torch.export.Dim(\"rows\")},))";
/// How Keras models become ONNX.
pub(crate) const KERAS: &str = "export it to ONNX: model.export(\"model.onnx\", format=\"onnx\") with Keras 3, \
     or python -m tf2onnx.convert --keras model.h5 --output model.onnx";
/// How models of H2O become ONNX.
pub(crate) const MOJO: &str = "convert it to ONNX: pip install onnxmltools h2o; \
     onnxmltools.utils.save_model(onnxmltools.convert_h2o(\"model.zip\"), \"model.onnx\")";
const REGRESSION: &str = "it has no export that runs without Python; fit the same regression with scikit-learn \
     (LinearRegression, LogisticRegression, PoissonRegressor, TweedieRegressor) and save that: joblib.dump(model, \"model.joblib\")";
const FORECAST: &str = "it continues a series rather than answering rows, and has no export; to serve a forecast of rows, fit a regressor \
     of scikit-learn or LightGBM on lagged columns and save that: joblib.dump(model, \"model.joblib\")";
const SURVIVAL: &str = "it has no export that runs without Python; XGBoost fits survival natively (objective survival:cox or survival:aft) \
     and is served: model.save_model(\"model.ubj\")";
const RECOMMENDER: &str = "it has no export; its factors are two tables: serve the products of their rows from a table, or fit a ranker of \
     LightGBM or XGBoost on columns of users and items";
const TEXT: &str = "it has no export that runs without Python; for classes of texts fit make_pipeline(TfidfVectorizer(), LogisticRegression()) of \
     scikit-learn and save that: joblib.dump(model, \"model.joblib\")";
const ENCODERS: &str = "use scikit-learn's own OneHotEncoder, OrdinalEncoder, TargetEncoder or SimpleImputer in a ColumnTransformer, fit again \
     and save the pipeline: joblib.dump(model, \"model.joblib\")";

/// All packages, by name.
const LIBRARIES: &[Library] = &[
    row(
        "autogluon",
        "an AutoGluon predictor",
        "save one of its models in the format of its own library: \
     predictor._trainer.load_model(\"LightGBM\").model.save_model(\"model.txt\")",
    ),
    row(
        "catboost",
        "a pickled CatBoost model",
        "save it as JSON: model.save_model(\"model.json\", format=\"json\")",
    ),
    row(
        "category_encoders",
        "an encoder of category_encoders",
        ENCODERS,
    ),
    row(
        "cuml",
        "a cuML model",
        "make a scikit-learn model of it: joblib.dump(model.as_sklearn(), \"model.joblib\")",
    ),
    row("darts", "a Darts model", FORECAST),
    row(
        "fastai",
        "a fastai learner",
        "export its module to ONNX: torch.onnx.export(learn.model.eval(), (example,), \"model.onnx\", dynamo=True)",
    ),
    row(
        "feature_engine",
        "a transformer of Feature-engine",
        ENCODERS,
    ),
    row(
        "flaml",
        "a FLAML model",
        "save the model it found: joblib.dump(automl.model.estimator, \"model.joblib\")",
    ),
    row("gensim", "a Gensim model", TEXT),
    row(
        "h2o",
        "an H2O model",
        "export it to ONNX: model.download_mojo(\"model.zip\"); \
     onnxmltools.utils.save_model(onnxmltools.convert_h2o(\"model.zip\"), \"model.onnx\")",
    ),
    row(
        "hdbscan",
        "an HDBSCAN clustering",
        "it has no export; KMeans or GaussianMixture of scikit-learn is served",
    ),
    row(
        "imblearn",
        "an estimator of imbalanced-learn",
        "fit the classifier of scikit-learn itself, in imblearn.pipeline.Pipeline behind the samplers, \
     and save that: joblib.dump(pipeline, \"model.joblib\")",
    ),
    row("implicit", "an Implicit recommender", RECOMMENDER),
    row(
        "interpret",
        "an explainable boosting machine",
        "export it to ONNX: pip install ebm2onnx; \
     onnx.save_model(ebm2onnx.to_onnx(model, ebm2onnx.get_dtype_from_pandas(X_train)), \"model.onnx\")",
    ),
    row("keras", "a pickled Keras model", KERAS),
    row("lifelines", "a Lifelines model", SURVIVAL),
    row("lightfm", "a LightFM recommender", RECOMMENDER),
    row(
        "ngboost",
        "an NGBoost model",
        "it has no export that runs without Python; LightGBM's objective=\"quantile\" answers intervals and is served: \
     model.booster_.save_model(\"model.txt\")",
    ),
    row(
        "pandas",
        "an object of pandas",
        "save the fitted estimator itself: joblib.dump(model, \"model.joblib\")",
    ),
    row("pmdarima", "a pmdarima model", FORECAST),
    row("prophet", "a Prophet model", FORECAST),
    row(
        "pycaret",
        "a PyCaret pipeline",
        "save the estimator that create_model() gave, and prepare its columns before: \
     joblib.dump(model, \"model.joblib\")",
    ),
    row(
        "pygam",
        "a pyGAM model",
        "it has no export that runs without Python; SplineTransformer before Ridge in a scikit-learn pipeline is the same \
     family of curves and is served",
    ),
    row(
        "pyod",
        "a PyOD detector",
        "save the detector within, if it is one of scikit-learn: joblib.dump(model.detector_, \"model.joblib\")",
    ),
    row(
        "pyspark",
        "a Spark model",
        "export it to ONNX: onnxmltools.convert_sparkml(model, \"model\", initial_types)",
    ),
    row(
        "river",
        "a River model",
        "it has no export; fit SGDClassifier or SGDRegressor of scikit-learn with partial_fit and save that: \
     joblib.dump(model, \"model.joblib\")",
    ),
    row(
        "sentence_transformers",
        "a sentence-transformers model",
        "export its encoder to ONNX: \
     SentenceTransformer(name, backend=\"onnx\").save_pretrained(\"exported\"), and upload exported/onnx/model.onnx, which takes token ids",
    ),
    row("skforecast", "a skforecast model", FORECAST),
    row(
        "sklearn_pandas",
        "a DataFrameMapper of sklearn-pandas",
        "use a ColumnTransformer with the same transformers, fit again and save the pipeline: \
     joblib.dump(model, \"model.joblib\")",
    ),
    row(
        "skopt",
        "a search of scikit-optimize",
        "save what it found: joblib.dump(search.best_estimator_, \"model.joblib\")",
    ),
    row(
        "skorch",
        "a skorch net",
        "export its module to ONNX: torch.onnx.export(net.module_.eval(), (example,), \"model.onnx\", dynamo=True)",
    ),
    row("sksurv", "a model of scikit-survival", SURVIVAL),
    row("sktime", "an sktime estimator", FORECAST),
    row("spacy", "a spaCy pipeline", TEXT),
    row("statsmodels", "a statsmodels result", REGRESSION),
    row("surprise", "a Surprise recommender", RECOMMENDER),
    row("tensorflow", "a pickled TensorFlow model", KERAS),
    row("thinc", "a Thinc model", TEXT),
    row("torch", "a pickled PyTorch module", TORCH),
    row(
        "tpot",
        "a TPOT search",
        "save the pipeline it found: joblib.dump(tpot.fitted_pipeline_, \"model.joblib\")",
    ),
    row(
        "transformers",
        "a Transformers model",
        "export it to ONNX: optimum-cli export onnx --model DIRECTORY exported",
    ),
    row("tslearn", "a tslearn model", FORECAST),
    row(
        "umap",
        "a UMAP embedding",
        "it has no export; PCA or TruncatedSVD of scikit-learn is served",
    ),
];

const fn row(package: &'static str, called: &'static str, advice: &'static str) -> Library {
    Library {
        package,
        called,
        advice,
    }
}

/// What such models keep beside themselves: types that carry data and are no
/// model. Their classes are not foreign where they stand in a model's file.
const COMPANIONS: &[&str] = &[
    "datetime",
    "dateutil",
    "decimal",
    "fractions",
    "logging",
    "narwhals",
    "networkx",
    "numba",
    "pathlib",
    "patsy",
    "polars",
    "pyarrow",
    "pytz",
    "re",
    "scipy",
    "srsly",
    "threading",
    "uuid",
    "zoneinfo",
];

/// Functions that such models are put together with; every other function is foreign.
const HELPERS: &[(&str, &str)] = &[
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.internals.blocks", "new_block"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch.storage", "_load_from_bytes"),
];

/// The refusal of what the global `name` of `module` belongs to, if that is a known package.
///
/// A companion is named for what it is; a file in which a model stands before it is refused for the model.
pub(crate) fn refusal(module: &str, name: &str) -> Option<EngineError> {
    let word = |part: &str| {
        let begins = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        begins && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !module.split('.').all(word) || !word(name) {
        return None;
    }
    let is_class = name
        .trim_start_matches('_')
        .starts_with(|c: char| c.is_ascii_uppercase());
    if !is_class && !HELPERS.contains(&(module, name)) {
        return None;
    }
    let package = module.split('.').next()?;
    let global = printable(&format!("{module}.{name}"));
    if let Some(library) = LIBRARIES.iter().find(|library| library.package == package) {
        return Some(EngineError::Unsupported {
            what: format!("{} ({global})", library.called),
            advice: library.advice.to_owned(),
        });
    }
    COMPANIONS
        .contains(&package)
        .then(|| EngineError::Unsupported {
            what: global,
            advice: "save the fitted estimator itself: joblib.dump(model, \"model.joblib\")"
                .to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_its_library_and_a_way_out() {
        assert!(LIBRARIES.is_sorted_by(|a, b| a.package < b.package));
        for library in LIBRARIES {
            let refusal = refusal(&format!("{}.models._base", library.package), "Model");
            let sentence = refusal.map(|refusal| refusal.to_string());
            let sentence = sentence.unwrap_or_default();
            assert!(sentence.starts_with(library.called), "{sentence}");
            assert!(sentence.ends_with(library.advice), "{sentence}");
            assert!(
                !library.advice.ends_with('.') && library.advice.len() > 40,
                "{sentence}"
            );
        }
    }

    #[test]
    fn what_is_not_written_like_a_name_of_a_library_has_no_recipe() {
        for (module, name) in [
            ("torch", "Linear.forward"),
            ("torch..nn", "Linear"),
            ("torchevil", "Linear"),
            ("torch.nn", "Line\u{430}r"),
            ("pathlib", "os"),
            ("re", "_compile"),
            ("torch", "load"),
            ("logging.config", "_resolve"),
            ("logging", "config"),
            ("", ""),
        ] {
            assert!(refusal(module, name).is_none(), "{module}.{name}");
        }
        assert!(refusal("datetime", "timedelta").is_some());
    }
}
