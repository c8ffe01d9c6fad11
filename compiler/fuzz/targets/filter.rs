//! A row filter of any content: refused, or read, and then its canonical text reads back as itself.

#![no_main]

use daam_sql::filter::Filter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(filter) = Filter::parse(text) else { return };
    let canonical = filter.canonical();
    let again = Filter::parse(&canonical).expect("canonical text is a filter");
    assert_eq!(again.canonical(), canonical);
    // An absent attribute never opens anything.
    let bound = filter.bind("t", &|_| None);
    assert!(bound.missing.is_empty() || bound.sql == "false");
});
