//! Files that are recognised but not served, and files that are no models.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use plimsoll_engine::{Description, Engine, EngineError, EngineOptions};
use proptest::prelude::*;

fn open(bytes: &[u8]) -> EngineError {
    let engine = Engine::new(EngineOptions::default());
    let Err(error) = engine.open(bytes) else {
        panic!("{:?} was opened", &bytes[..bytes.len().min(20)]);
    };
    error
}

/// A zip archive of empty, stored entries.
fn zip(names: &[&str]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for name in names {
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        bytes.extend(b"PK\x03\x04");
        bytes.extend([0; 22]);
        bytes.extend(length);
        bytes.extend([0; 2]);
        bytes.extend(name.as_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend([0; 24]);
        directory.extend(length);
        directory.extend([0; 12]);
        directory.extend(offset);
        directory.extend(name.as_bytes());
    }
    let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    let count = u16::try_from(names.len()).unwrap().to_le_bytes();
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend(size);
    bytes.extend(offset);
    bytes.extend([0; 2]);
    bytes
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn known_formats_are_refused_with_the_recipe_to_export_them() {
    let safetensors = [
        &64_u64.to_le_bytes()[..],
        b"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}      ",
        &[b' '; 64],
    ]
    .concat();
    let saved_model = b"\x08\x01\x12\x04\x0a\x02\x08\x01";
    for (bytes, what, advice) in [
        (
            zip(&["net/data.pkl", "net/constants.pkl", "net/version"]),
            "TorchScript",
            "torch.onnx.export",
        ),
        (
            zip(&["archive/data.pkl", "archive/version", "archive/data/0"]),
            "PyTorch checkpoint",
            "torch.onnx.export",
        ),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.rest".to_vec(),
            "PyTorch checkpoint",
            "torch.onnx.export",
        ),
        (
            zip(&["archive_format", "models/model.json"]),
            ".pt2",
            "torch.onnx.export",
        ),
        (
            zip(&["metadata.json", "config.json", "model.weights.h5"]),
            "Keras",
            "format=\"onnx\"",
        ),
        (b"\x89HDF\r\n\x1a\nrest".to_vec(), "Keras", "tf2onnx"),
        (
            zip(&["model/MLmodel", "model/model.pkl"]),
            "MLflow",
            "with joblib",
        ),
        (
            zip(&["m/saved_model.pb", "m/variables/variables.index"]),
            "SavedModel",
            "--saved-model",
        ),
        (
            zip(&["model.ini", "domains/d000.txt", "trees/t00_000.bin"]),
            "H2O MOJO",
            "convert_h2o",
        ),
        (saved_model.to_vec(), "SavedModel", "--saved-model"),
        (zip(&["deep/model.onnx"]), "zip archive", "unpack"),
        (b"binf\0\0\0\0".to_vec(), "XGBoost", "model.ubj"),
        (b"CBM1\0\0".to_vec(), "CatBoost", "save_model"),
        (safetensors, "safetensors", "torch.onnx.export"),
        (b"GGUF\x03\0\0\0".to_vec(), "GGUF", "language models"),
        (b"\x1c\0\0\0TFL3".to_vec(), "TensorFlow Lite", "--tflite"),
        (b"\x1c\0\0\0ORTM".to_vec(), "flatbuffer", ".onnx file"),
        (
            b"<?xml version=\"1.0\"?>\n<PMML version=\"4.4\">".to_vec(),
            "PMML",
            "joblib",
        ),
    ] {
        let error = open(&bytes);
        assert!(
            matches!(error, EngineError::Unsupported { .. }),
            "{what}: {error:?}"
        );
        let sentence = error.to_string();
        assert!(
            sentence.contains(what) && sentence.contains(advice),
            "{what}: {sentence}"
        );
    }
}

/// The class that a pickled model of each library begins with, and what its refusal must say.
const PICKLED: &[(&str, &str, &str, &str)] = &[
    (
        "statsmodels.regression.linear_model",
        "RegressionResultsWrapper",
        "statsmodels",
        "LinearRegression",
    ),
    ("prophet.forecaster", "Prophet", "Prophet", "lagged columns"),
    (
        "pmdarima.arima.arima",
        "ARIMA",
        "pmdarima",
        "lagged columns",
    ),
    ("spacy.lang.en", "English", "spaCy", "TfidfVectorizer"),
    (
        "gensim.models.word2vec",
        "Word2Vec",
        "Gensim",
        "TfidfVectorizer",
    ),
    (
        "torch.nn.modules.container",
        "Sequential",
        "PyTorch",
        "torch.onnx.export",
    ),
    (
        "keras.src.models.sequential",
        "Sequential",
        "Keras",
        "format=\"onnx\"",
    ),
    (
        "tensorflow.python.keras.engine.sequential",
        "Sequential",
        "TensorFlow",
        "tf2onnx",
    ),
    (
        "h2o.estimators.gbm",
        "H2OGradientBoostingEstimator",
        "H2O",
        "convert_h2o",
    ),
    (
        "surprise.prediction_algorithms.matrix_factorization",
        "SVD",
        "Surprise",
        "factors",
    ),
    (
        "lifelines.fitters.coxph_fitter",
        "CoxPHFitter",
        "Lifelines",
        "survival:cox",
    ),
    (
        "cuml.ensemble.randomforestclassifier",
        "RandomForestClassifier",
        "cuML",
        "as_sklearn()",
    ),
    (
        "sktime.forecasting.naive",
        "NaiveForecaster",
        "sktime",
        "lagged columns",
    ),
    ("river.compose.pipeline", "Pipeline", "River", "partial_fit"),
    (
        "implicit.cpu.als",
        "AlternatingLeastSquares",
        "Implicit",
        "factors",
    ),
    (
        "sentence_transformers.SentenceTransformer",
        "SentenceTransformer",
        "sentence-transformers",
        "backend=\"onnx\"",
    ),
    (
        "autogluon.tabular.predictor.predictor",
        "TabularPredictor",
        "AutoGluon",
        "load_model",
    ),
    (
        "pycaret.internal.pipeline",
        "Pipeline",
        "PyCaret",
        "create_model()",
    ),
    ("lightfm.lightfm", "LightFM", "LightFM", "factors"),
    (
        "interpret.glassbox._ebm._ebm",
        "ExplainableBoostingClassifier",
        "explainable",
        "ebm2onnx",
    ),
    ("ngboost.api", "NGBRegressor", "NGBoost", "quantile"),
    ("tpot.tpot", "TPOTClassifier", "TPOT", "fitted_pipeline_"),
    (
        "imblearn.ensemble._forest",
        "BalancedRandomForestClassifier",
        "imbalanced-learn",
        "imblearn.pipeline",
    ),
    (
        "sklearn_pandas.dataframe_mapper",
        "DataFrameMapper",
        "sklearn-pandas",
        "ColumnTransformer",
    ),
    (
        "category_encoders.target_encoder",
        "TargetEncoder",
        "category_encoders",
        "ColumnTransformer",
    ),
    (
        "feature_engine.encoding.one_hot",
        "OneHotEncoder",
        "Feature-engine",
        "ColumnTransformer",
    ),
    (
        "catboost.core",
        "CatBoostClassifier",
        "CatBoost",
        "format=\"json\"",
    ),
    (
        "transformers.models.bert.modeling_bert",
        "BertModel",
        "Transformers",
        "optimum-cli",
    ),
    ("pandas.core.frame", "DataFrame", "pandas", "joblib.dump"),
];

#[test]
fn pickled_models_of_other_libraries_are_refused_with_the_line_that_exports_them() {
    for (module, name, what, advice) in PICKLED {
        let plain = format!("c{module}\n{name}\n.");
        let sentence = open(plain.as_bytes()).to_string();
        let is_named = sentence.contains(what) && sentence.contains(&format!("{module}.{name}"));
        assert!(is_named && sentence.contains(advice), "{sentence}");
        // What a file calls besides is found out whatever stands before it.
        let hostile = format!("c{module}\n{name}\n0cos\nsystem\n.");
        let error = open(hostile.as_bytes());
        assert!(
            matches!(&error, EngineError::Unsafe { global } if global == "os.system"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_model_is_named_for_what_it_is() {
    for (bytes, found) in [
        (Vec::new(), "an empty file"),
        (b"hello, world\n".to_vec(), "plain text"),
        ("caf\u{e9},1\n".repeat(2000).into_bytes(), "plain text"),
        (b"  <!DOCTYPE html><html>".to_vec(), "an HTML page"),
        (b"<model/>".to_vec(), "an XML document"),
        (b"[1, 2, 3]".to_vec(), "JSON that is no model"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec(),
            "a Git LFS pointer",
        ),
        (b"%PDF-1.7".to_vec(), "a PDF document"),
        (b"\x89PNG\r\n".to_vec(), "a PNG image"),
        (b"\x93NUMPY\x01\0".to_vec(), "a NumPy array"),
        (
            zip(&["word/document.xml", "[Content_Types].xml"]),
            "an Office document",
        ),
        (zip(&["a.npy", "b.npy"]), "NumPy arrays"),
        (zip(&["readme.txt"]), "a zip archive without a model"),
        (zip(&[]), "a zip archive without a model"),
        (
            b"PK\x03\x04 cut off".to_vec(),
            "a zip archive without a model",
        ),
        (vec![0xfe; 100], "binary data"),
        (vec![0; 100], "binary data"),
    ] {
        match open(&bytes) {
            EngineError::Unrecognised { found: got } => assert!(got.starts_with(found), "{got}"),
            other => panic!("{found}: {other:?}"),
        }
    }
}

#[test]
fn a_declared_type_is_held_against_the_content() {
    let description = |format: &str| Description {
        format: format.to_owned(),
        algorithm: String::new(),
        library: None,
        notes: Vec::new(),
    };
    for (format, declared, matches) in [
        ("onnx", "ONNX", true),
        ("onnx", " .onnx", true),
        ("onnx", "pytorch", true),
        ("onnx", "sklearn", false),
        ("sklearn-joblib", "scikit-learn", true),
        ("sklearn-joblib", "joblib", true),
        ("sklearn-pickle", "sklearn", true),
        ("sklearn-pickle", "sklearn-pickle", true),
        ("sklearn-pickle", "onnx", false),
        ("sklearn-pickle", "", false),
        ("xgboost-ubj", "XGBoost", true),
        ("xgboost-pickle", "pickle", true),
        ("xgboost-json", "pickle", false),
        ("lightgbm-text", "lightgbm", true),
        ("lightgbm-text", "onnx", false),
        ("catboost-json", "catboost", true),
    ] {
        assert_eq!(
            description(format).matches(declared),
            matches,
            "{format} as {declared:?}"
        );
    }
    assert_eq!(description("sklearn-joblib").family(), "sklearn");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_and_never_panic(
        magic in prop::sample::select(vec![
            &b""[..], b"PK\x03\x04", b"PK\x05\x06", b"\x08\x0a", b"\x08\x0a:\x02", b"{\"", b"\x80\x04",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        open(&[magic, &bytes].concat());
    }

    #[test]
    fn damaged_archives_are_refused_and_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = zip(&["net/data.pkl", "net/constants.pkl", "x"]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len() + 1));
        open(&bytes);
    }
}
