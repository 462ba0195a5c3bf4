//! Folders of MLflow: the example they keep of their input, and what is refused with a way out.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]

use std::path::Path;

use plimsoll_engine::{Engine, EngineError, EngineOptions};

fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    std::fs::read(root.join(name)).unwrap()
}

#[test]
fn the_input_example_of_a_folder_is_rows_for_a_request() {
    let engine = Engine::new(EngineOptions::default());
    let wine = r#"{"columns":["alcohol","malic_acid","ash","alkalinity"],"data":[[14.23,1.71,2.43,15.6],[13.2,1.78,2.14,11.2]]}"#;
    for (folder, expected) in [
        ("parity/mlflow/3.17.2/000_xgboost.zip", wine),
        ("parity/mlflow/3.17.2/001_lightgbm.zip", wine),
        ("parity/mlflow/3.17.2/002_lightgbm_text.zip", wine),
        (
            "parity/containers/1.9.1/012_mlflow_pickle.tar.gz",
            r#"{"columns":["sepal length","sepal width","it's","petal \"width\""],"data":[[5.1,3.5,1.4,0.2],[4.9,3.0,1.4,0.2]]}"#,
        ),
    ] {
        let found = engine.example(&fixture(folder));
        assert_eq!(found.as_deref(), Some(expected), "{folder}");
    }
    for other in [
        "parity/mlflow/refused/catboost.zip",
        "sklearn/1.5.2/iris_logistic.joblib",
        "parity/containers/1.9.1/003_pipeline.skops",
    ] {
        assert_eq!(engine.example(&fixture(other)), None, "{other}");
    }
}

#[test]
fn a_folder_of_catboost_is_refused_with_the_line_that_saves_it_otherwise() {
    let engine = Engine::new(EngineOptions::default());
    let refused = engine.open(&fixture("parity/mlflow/refused/catboost.zip"));
    let Err(EngineError::Unsupported { what, advice }) = refused.map(|_| ()) else {
        unreachable!("the folder was not refused");
    };
    assert!(what.contains("catboost"), "{what}");
    assert!(advice.contains("format=\"json\""), "{advice}");
}
