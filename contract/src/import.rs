//! `/api/import`: the earlier system's data.

use crate::endpoint;
use domain::people::role::Action;
use domain::v1::dump::Table;
use domain::v1::import::ImportItem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

endpoint!(
    /// Shows what an import of the earlier system's data would do, or does it. Doing it again changes
    /// nothing. Of a large dump, calls go in parts of their own.
    Import, "POST", "/api/import", Some(Action::Import), 200, ImportRequest => ImportReport
);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    pub mode: ImportMode,
    /// KV's entries: key to value, a value as text or as JSON.
    #[serde(default)]
    pub kv: BTreeMap<String, Value>,
    /// A list of objects each, or CSV with a line of names.
    #[serde(default)]
    pub tables: BTreeMap<Table, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ImportMode {
    /// Changes nothing.
    Check,
    Apply,
}

/// The result of an import, or of the check before one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportReport {
    pub applied: bool,
    pub created: u32,
    pub existing: u32,
    pub refused: u32,
    pub items: Vec<ImportItem>,
}
