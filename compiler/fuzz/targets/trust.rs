//! See `properties/trust.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| daam_compiler_fuzz::target("trust")(bytes));
