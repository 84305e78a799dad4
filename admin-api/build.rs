//! Puts the API's document on one line: its indentation would make the Worker 4 KB larger, gzipped.

use std::path::Path;
use std::{env, fs, io};

const DOCUMENT: &str = "openapi/openapi.json";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    // No string of JSON spans lines.
    let line: String = fs::read_to_string(DOCUMENT)?.lines().map(str::trim_start).collect();
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&folder).join("openapi.json"), line)
}
