//! Scopes, and whether they cover a path.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::checks::scope(bytes));
