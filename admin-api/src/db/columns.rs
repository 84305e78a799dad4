//! Rows that are read column by column, and objects that SQL takes.

use super::{Db, Row, Statement, StoreError, values_of};
use serde_json::{Map, Value};
use worker::D1Result;

/// A row that is read column by column. A type that `serde` reads is larger, and pays only where many fields are checked.
#[derive(Debug)]
pub struct Columns(Row);

impl Columns {
    /// Returns a text; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_default()
    }

    /// Returns a text; `None` for NULL.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Returns an integer; 0 if there is none.
    pub fn number(&self, name: &str) -> i64 {
        self.integer(name).unwrap_or_default()
    }

    /// Returns an integer; `None` for NULL.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }
}

impl Db {
    /// Returns the rows, to be read column by column.
    pub async fn columns(&self, statement: Statement) -> Result<Vec<Columns>, StoreError> {
        self.budget.note_d1(1);
        columns_of(&statement.all().await?)
    }
}

/// Returns the rows, to be read column by column.
pub fn columns_of(result: &D1Result) -> Result<Vec<Columns>, StoreError> {
    Ok(values_of(result)?.into_iter().map(Columns).collect())
}

/// Makes a JSON object, in less code than `json!`.
pub fn object(fields: Vec<(&str, Value)>) -> Value {
    let mut object = Map::new();
    for (name, value) in fields {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}
