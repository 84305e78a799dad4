//! The committed OpenAPI document and its page are what the types say.
//! `UPDATE_OPENAPI=1 cargo test -p openapi` writes them again.

#![expect(clippy::unwrap_used, reason = "clippy does not see a whole file as a test")]

use std::fs;
use std::path::Path;

fn committed(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../admin-api/openapi").join(name);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "{name} is old: UPDATE_OPENAPI=1 cargo test -p openapi, and commit it");
}

#[test]
fn the_committed_document_is_current() {
    let document = openapi::document::document();
    committed("openapi.json", &format!("{}\n", serde_json::to_string_pretty(&document).unwrap()));
    let schema = openapi::config::schema();
    committed("config.schema.json", &format!("{}\n", serde_json::to_string_pretty(&schema).unwrap()));
    committed("docs.html", &openapi::page::render(&document));
}
