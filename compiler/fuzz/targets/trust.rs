//! A trust file of any content: refused, or read, and then written and read back as itself.

#![no_main]

use daam_bundle::TrustFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(trust) = TrustFile::parse(text) else { return };
    assert!(trust.threshold() >= 1 && trust.threshold() <= trust.keys().len());
    assert_eq!(TrustFile::parse(&trust.to_json()).ok(), Some(trust));
});
