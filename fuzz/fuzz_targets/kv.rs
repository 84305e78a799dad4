//! Values in KV: token records, route tables, price lists.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::checks::kv(bytes));
