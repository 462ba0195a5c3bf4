//! Replays what the fuzzer found worth keeping.

use std::fs;
use std::path::Path;

use crate::properties;

#[test]
fn the_corpora_hold_no_counterexample() {
    let properties: [fn(&[u8]); 2] = [properties::record, properties::segment];
    for (target, property) in ["journal_record", "journal_segment"]
        .into_iter()
        .zip(properties)
    {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let mut replayed = 0;
        for entry in fs::read_dir(folder.join(target)).unwrap() {
            property(&fs::read(entry.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "the corpus of {target} is empty");
    }
}
