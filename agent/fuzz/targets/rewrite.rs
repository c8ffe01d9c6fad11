//! See `properties/rewrite.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| daam_agent_fuzz::target("rewrite")(bytes));
