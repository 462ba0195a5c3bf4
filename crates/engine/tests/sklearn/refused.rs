//! Files that are sound but not served are refused by name, with a way out.

use plimsoll_engine::EngineError;

use crate::files;

#[test]
fn what_is_not_served_is_named_with_the_way_out() {
    for (folder, manifest) in files::manifests() {
        assert!(manifest.refused.len() >= 7);
        for refused in &manifest.refused {
            let bytes = std::fs::read(folder.join(&refused.file)).unwrap();
            let name = format!("{} {}", manifest.version, refused.file);
            let Err(EngineError::Unsupported { what, advice }) = files::open(&bytes) else {
                panic!(
                    "{name} was not refused as unsupported: {:?}",
                    files::open(&bytes).err()
                );
            };
            assert!(what.contains(&refused.names), "{name}: {what}");
            assert!(!advice.is_empty(), "{name}");
            if refused.file.contains("process") {
                assert!(advice.contains("to_onnx(model"), "{advice}");
            }
        }
    }
}
