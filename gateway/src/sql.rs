//! Reads the database of a Durable Object.

use domain::json::from_text;
use js_sys::{Array, JSON};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Error, Result, SqlStorage};

#[wasm_bindgen]
extern "C" {
    type Sql;

    #[wasm_bindgen(method, catch)]
    fn exec(this: &Sql, query: &str) -> std::result::Result<Cursor, JsValue>;

    type Cursor;

    #[wasm_bindgen(method, catch, js_name = toArray)]
    fn to_array(this: &Cursor) -> std::result::Result<Array, JsValue>;
}

/// Returns the rows of a query. One text crosses from JavaScript, not each field, and is read as all JSON is.
pub fn rows<T: DeserializeOwned>(sql: &SqlStorage, query: &str) -> Result<Vec<T>> {
    let rows = sql.as_ref().unchecked_ref::<Sql>().exec(query)?.to_array()?;
    let text = String::from(JSON::stringify(&rows)?);
    from_text(&text).map_err(|error| Error::RustError(error.to_string()))
}
