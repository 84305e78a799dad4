//! `/api/import`: the earlier system's data.

use crate::endpoint;
use domain::people::role::Action;
use domain::v1::dump::Table;
use domain::v1::import::ImportItem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

endpoint!(
    /// Imports the earlier system's data, or shows what an import would do. A repeat changes
    /// nothing. Split the calls of a large dump over several requests.
    Import, "POST", "/api/import", Some(Action::Import), 200, ImportRequest => ImportReport,
    max_body: 10 * 1_024 * 1_024,
    example: Some(r#"{ "mode": "check", "kv": { "routes": { "/api/x": "https://x.example" } }, "tables": {} }"#)
);

/// A dump of the earlier system, or a part of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Whether to import the dump or only to check it.
    pub mode: ImportMode,
    /// KV's entries, by key; a value is text or JSON.
    #[serde(default)]
    pub kv: BTreeMap<String, Value>,
    /// The tables, by name; each is a list of objects, or CSV with a header line.
    #[serde(default)]
    pub tables: BTreeMap<Table, Value>,
}

/// The effect of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ImportMode {
    /// Only reports; changes nothing.
    Check,
    /// Imports everything that is neither there already nor refused.
    Apply,
}

/// The result of an import, or of the check before one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportReport {
    /// Whether the data was imported; `false` for a check.
    pub applied: bool,
    /// Items that were made, or would be.
    pub created: u32,
    /// Items that are there already and stay unchanged.
    pub existing: u32,
    /// Items that cannot be imported; their notes say why.
    pub refused: u32,
    /// The result for each item of the dump.
    pub items: Vec<ImportItem>,
}
