//! Dumps of the earlier system: reading their KV entries and tables, and cutting them into parts.

use crate::v1::auth::secret_value;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The tables of the earlier system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named as the tables were")]
pub enum Table {
    Teams,
    Tokens,
    Routes,
    TokenUsageLogs,
}

/// A row of a table, by the names of its columns.
pub type Row = Map<String, Value>;

/// The column that numbers the calls that are alike in every field, over the whole dump, from 1 for the second of
/// them. [`number_calls`] writes it before a dump is cut into parts, so that a call whose like is in another part is
/// imported too. Without the column, calls are numbered within their part.
pub const OCCURRENCE: &str = "_occurrence";

/// KV and tables of one request.
pub type Part = (BTreeMap<String, Value>, BTreeMap<Table, Value>);

/// A token's entry in KV and its row in the table, if there are any.
type TokenSources = (Option<(String, Value)>, Option<Value>);

/// Cuts everything but calls into parts: first all that is not a token, then `most` tokens each. A token's KV entry
/// stays together with its row, since the row alone says that it was switched off. `None` if a table cannot be read.
pub fn settings_parts(
    kv: BTreeMap<String, Value>,
    mut tables: BTreeMap<Table, Value>,
    most: usize,
) -> Option<Vec<Part>> {
    let (entries, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
        kv.into_iter().partition(|(key, _)| key.starts_with("token:"));
    let mut tokens: BTreeMap<String, TokenSources> = BTreeMap::new();
    for (key, value) in entries {
        let hash = key.trim_start_matches("token:").to_owned();
        tokens.entry(hash).or_default().0 = Some((key, value));
    }
    let mut nameless = Vec::new();
    for row in tables.remove(&Table::Tokens).map_or(Some(vec![]), |table| rows_of(&table))? {
        match text(&row, &["token_hash", "hash"]).map(str::to_owned) {
            Some(hash) => tokens.entry(hash).or_default().1 = Some(row.into()),
            None => nameless.push(Value::from(row)),
        }
    }
    if !nameless.is_empty() {
        tables.insert(Table::Tokens, nameless.into());
    }
    let mut parts = Vec::new();
    if !rest.is_empty() || !tables.is_empty() {
        parts.push((rest, tables));
    }
    let tokens: Vec<_> = tokens.into_values().collect();
    for part in tokens.chunks(most.max(1)) {
        let rows: Vec<Value> = part.iter().filter_map(|(_, row)| row.clone()).collect();
        let tables =
            if rows.is_empty() { BTreeMap::new() } else { BTreeMap::from([(Table::Tokens, rows.into())]) };
        parts.push((part.iter().filter_map(|(entry, _)| entry.clone()).collect(), tables));
    }
    Some(parts)
}

/// Writes into each row how many before it are alike in every field ([`OCCURRENCE`]), if there are any.
pub fn number_calls(rows: &mut [Row]) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let times = seen.entry(serde_json::to_string(row).unwrap_or_default()).or_default();
        if *times > 0 {
            row.insert(OCCURRENCE.to_owned(), (*times).into());
        }
        *times += 1;
    }
}

/// Returns the value itself if `wrangler kv bulk get` has put it into `{"value": …}`, with or without
/// metadata. A secret of the earlier system looks the same by itself: it is unwrapped only if
/// another such object is inside.
pub(super) fn unwrapped(key: &str, value: &Value) -> Value {
    let is_secret = |text: &str| secret_value(text).is_some();
    let inner = value
        .as_object()
        .filter(|object| object.keys().all(|k| matches!(k.as_str(), "value" | "metadata" | "expiration")))
        .and_then(|object| object.get("value")?.as_str())
        .filter(|text| !key.starts_with("secret:") || is_secret(text));
    inner.map_or_else(|| value.clone(), Value::from)
}

/// Reads a table: a list of objects, or CSV. `null` is an empty table; `None` is returned for anything else.
pub fn rows_of(table: &Value) -> Option<Vec<Row>> {
    match table {
        Value::Null => Some(vec![]),
        Value::Array(rows) => rows.iter().map(|row| row.as_object().cloned()).collect(),
        Value::String(text) => {
            let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
            let names = reader.headers().ok()?.clone();
            let row = |record: csv::StringRecord| -> Row {
                let pairs = names.iter().zip(record.iter());
                let value = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
                let mut row = Row::new();
                row.extend(pairs.map(|(name, text)| (name.trim().to_owned(), value(text))));
                row
            };
            reader.records().map(|record| record.ok().map(row)).collect()
        }
        _ => None,
    }
}

/// Returns the first of the named columns that holds text, trimmed; an empty one counts as absent.
pub(super) fn text<'a>(row: &'a Row, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| row.get(*name)?.as_str()).map(str::trim).filter(|text| !text.is_empty())
}

/// Reads a list that is JSON, JSON in a text, or separated by commas.
pub(super) fn list(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::Array(items) => Some(items.iter().filter_map(|i| i.as_str().map(str::to_owned)).collect()),
        Value::String(text) if text.trim_start().starts_with('[') => {
            list(serde_json::from_str(text).ok().as_ref())
        }
        Value::String(text) => {
            Some(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect())
        }
        _ => None,
    }
}

/// Reads a column as yes or no, in the spellings of SQL dumps and CSV.
pub(super) fn flag(row: &Row, name: &str) -> Option<bool> {
    match row.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(n) => n.as_i64().map(|n| n != 0),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" => Some(true),
            "false" | "f" | "0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Reads an object that is JSON, or JSON in a text.
pub(super) fn object_of(value: &Value) -> Option<Row> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}
