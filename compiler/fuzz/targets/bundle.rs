//! A bundle of any content: never accepted, since no key ever signed it.

#![no_main]

use daam_bundle::UnsignedBundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = UnsignedBundle::from_bytes(bytes) else { return };
    let _ = bundle.policies();
    let again = UnsignedBundle::from_bytes(&bundle.to_bytes()).expect("what was read can be written and read");
    assert_eq!(again.statement(), bundle.statement());
});
