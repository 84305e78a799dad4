//! Addresses of upstreams, and paths that are matched against routes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::checks::path(bytes));
