//! ONNX files where no ONNX Runtime is installed: a process of its own, in
//! which nothing loads the library.

use std::path::{Path, PathBuf};

use plimsoll_engine::{Engine, EngineError, EngineOptions, OnnxStatus};

fn engine(onnxruntime: Option<PathBuf>) -> Engine {
    Engine::new(EngineOptions {
        onnxruntime,
        intra_threads: 0,
    })
}

#[test]
fn a_missing_library_is_told_with_the_way_to_install_it() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (library, wanted) in [
        (None, "no library was configured or found"),
        (
            Some(PathBuf::from("libonnxruntime.so")),
            "there is no file libonnxruntime.so",
        ),
        (Some(here.join("Cargo.toml")), "cannot be loaded"),
    ] {
        let engine = engine(library);
        let OnnxStatus::Missing { why, advice } = engine.onnx_status() else {
            panic!("a library was found");
        };
        assert!(why.contains(wanted), "{why}");
        assert!(advice.contains("pip install onnxruntime"), "{advice}");
        let file = std::fs::read(here.join("../../fixtures/onnx/conv.onnx")).unwrap();
        let error = engine.open(&file).err().unwrap();
        assert!(
            matches!(error, EngineError::Unavailable { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn what_the_runtime_must_not_see_is_refused_without_it() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read(here.join("../../fixtures/onnx/refused_external.onnx")).unwrap();
    let error = engine(None).open(&file).err().unwrap();
    assert!(
        matches!(error, EngineError::Unsupported { .. }),
        "{error:?}"
    );
}
