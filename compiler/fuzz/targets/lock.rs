//! A schema lock of any content: refused, or a catalogue without system objects, which writes back as itself.

#![no_main]

use daam_catalog::{lock, snapshot};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let value = serde_json::from_str(text).unwrap_or_default();
    if let Ok(catalog) = snapshot::from_json(&value) {
        let files = lock::to_files(&catalog);
        assert_eq!(lock::from_files(&files).ok().as_ref(), Some(&catalog));
    }
    let files = BTreeMap::from([(lock::LOCK_FILE.to_owned(), text.to_owned())]);
    let _ = lock::from_files(&files);
});
