//! Reads the platform's headers in three crossings to JavaScript, however many there are.

use domain::upstream::headers::response::Edit;
use js_sys::{Array, JSON};
use wasm_bindgen::JsValue;
use web_sys::Headers;

/// Headers with names in lower case. Each `Set-Cookie` is an entry; other values of one name are joined.
pub type List = Vec<(String, String)>;

/// Reads all of `headers`. An iterator would cross to JavaScript six times for each.
pub fn read(headers: &Headers) -> Result<List, JsValue> {
    let text = String::from(JSON::stringify(&Array::from(headers))?);
    serde_json::from_str(&text).map_err(|why| JsValue::from(why.to_string()))
}

/// Lists the names, separated by commas.
pub fn names(headers: &Headers) -> String {
    Array::from(&headers.keys()).join(", ").into()
}

/// Returns the value under `name`, which is in lower case.
pub fn get<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Applies `edits` in their order.
pub fn carry_out(edits: &[Edit], headers: &Headers) -> Result<(), JsValue> {
    edits.iter().try_for_each(|edit| match edit {
        Edit::Delete(name) => headers.delete(name),
        Edit::Set(name, value) => headers.set(name, value),
        Edit::Append(name, value) => headers.append(name, value),
    })
}
