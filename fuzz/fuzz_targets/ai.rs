//! Responses and requests of AI vendors, cut in two at any place.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::checks::ai(bytes));
