//! Puts the API's documents on one line each: their indentation would make the Worker some KB larger, gzipped.

use std::path::Path;
use std::{env, fs, io};

const DOCUMENTS: [&str; 2] = ["openapi.json", "config.schema.json"];

fn main() -> io::Result<()> {
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    for name in DOCUMENTS {
        let path = Path::new("openapi").join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        // No string of JSON spans lines.
        let line: String = fs::read_to_string(path)?.lines().map(str::trim_start).collect();
        fs::write(Path::new(&folder).join(name), line)?;
    }
    Ok(())
}
