//! D1: typed statements. Each SQL statement is a separate file under `queries/`.

use crate::budget::Budget;
use domain::json;
use edge::log::{Source, log};
use js_sys::{Array, JSON};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::rc::Rc;
use wasm_bindgen::JsValue;
use worker::{Bucket, D1Database, D1PreparedStatement, D1Result, Env};

pub mod alerts;
pub mod audit;
pub mod canary;
pub mod channels;
mod columns;
pub mod config;
pub mod dashboard;
pub mod import;
pub mod invitations;
pub mod keys;
pub mod limits;
pub mod outbox;
pub mod people;
pub mod prices;
pub mod routes;
pub mod seals;
pub mod settings;
pub mod teams;
pub mod tokens;
pub mod unattended;
pub mod upkeep;
pub mod usage;
pub mod watch;

pub use columns::{Columns, columns_of, object};

/// The D1 bindings: everything but usage, and usage.
const DB: &str = "DB";
const USAGE_DB: &str = "USAGE_DB";
/// The bucket of raw calls; it need not be bound.
const CALLS: &str = "CALLS";

/// The largest integer that is exact in a JavaScript number, the only kind of number that D1 accepts.
pub const MAX_SAFE: i64 = (1 << 53) - 1;

/// The reason why D1 gave no usable response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("D1 cannot be reached: {0}")]
    Unreachable(String),
    #[error("a constraint of the schema does not hold: {0}")]
    Constraint(String),
    #[error("a value does not fit: {0}")]
    Value(String),
    /// Written by a newer version, or damaged.
    #[error("a stored value cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    /// Returns whether a constraint of this column does not hold.
    pub fn is_of(&self, column: &str) -> bool {
        matches!(self, Self::Constraint(cause) if cause.contains(column))
    }
}

impl From<worker::Error> for StoreError {
    fn from(error: worker::Error) -> Self {
        let text = error.to_string();
        if text.contains("constraint failed") {
            Self::Constraint(text)
        } else if text.contains("too big") {
            Self::Value(text)
        } else {
            Self::Unreachable(text)
        }
    }
}

/// One bound parameter.
#[derive(Clone, Copy, Debug)]
pub enum Param<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
}

impl Param<'_> {
    fn to_js(self) -> Result<JsValue, StoreError> {
        match self {
            Self::Null => Ok(JsValue::NULL),
            Self::Text(text) => Ok(JsValue::from_str(text)),
            Self::Integer(n) if n.unsigned_abs() <= MAX_SAFE.unsigned_abs() =>
            {
                #[expect(clippy::cast_precision_loss, reason = "exact: checked above")]
                Ok(JsValue::from_f64(n as f64))
            }
            Self::Integer(n) => Err(StoreError::Value(format!("{n} is beyond 2^53"))),
        }
    }
}

impl From<i64> for Param<'_> {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl From<u32> for Param<'_> {
    fn from(n: u32) -> Self {
        Self::Integer(n.into())
    }
}

impl From<u64> for Param<'_> {
    fn from(n: u64) -> Self {
        // A number that does not fit an i64 is far beyond 2^53 and is refused when it is bound.
        Self::Integer(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Param<'_> {
    fn from(flag: bool) -> Self {
        Self::Integer(flag.into())
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Makes the parameters of a statement, each converted to [`Param`].
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Param::from($value)),*] };
}
pub(crate) use params;

/// Includes the SQL of a file under `queries/`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/queries/", $name, ".sql"))
    };
}
pub(crate) use sql;

/// Includes the SQL of a file under `usage_queries/`, which is for `USAGE_DB`.
macro_rules! usage_sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/usage_queries/", $name, ".sql"))
    };
}
pub(crate) use usage_sql;

pub type Statement = D1PreparedStatement;

/// The database for one invocation. Each query counts in the invocation's budget.
#[derive(Clone, Debug)]
pub struct Db {
    d1: Rc<D1Database>,
    budget: Budget,
}

impl Db {
    pub fn open(env: &Env) -> Result<Self, StoreError> {
        let d1 = env.d1(DB).map_err(|e| StoreError::Unreachable(e.to_string()))?;
        Ok(Self { d1: Rc::new(d1), budget: Budget::default() })
    }

    /// Opens the database of usage for the same invocation.
    pub fn usage(&self, env: &Env) -> Result<UsageDb, StoreError> {
        let d1 = env.d1(USAGE_DB).map_err(|e| StoreError::Unreachable(e.to_string()))?;
        let db = Self { d1: Rc::new(d1), budget: self.budget.clone() };
        Ok(UsageDb { db, bucket: env.bucket(CALLS).ok() })
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub fn statement(&self, sql: &str, params: &[Param]) -> Result<Statement, StoreError> {
        let values = params.iter().map(|p| p.to_js()).collect::<Result<Vec<_>, _>>()?;
        Ok(self.d1.prepare(sql).bind(&values)?)
    }

    pub async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>, StoreError> {
        self.budget.note_d1(1);
        rows_of(&statement.all().await?)
    }

    /// # Errors
    /// Also fails if the row cannot be read: that must not look like no row.
    pub async fn first<T: DeserializeOwned>(&self, statement: Statement) -> Result<Option<T>, StoreError> {
        self.budget.note_d1(1);
        Ok(all_rows_of(&statement.all().await?)?.into_iter().next())
    }

    /// Runs a statement that counts rows as `count`.
    pub async fn count(&self, statement: Statement) -> Result<u64, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            count: u64,
        }
        Ok(self.first::<Row>(statement).await?.map_or(0, |row| row.count))
    }

    /// Runs the statements as one transaction.
    pub async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<D1Result>, StoreError> {
        self.budget.note_d1(statements.len());
        Ok(self.d1.batch(statements).await?)
    }

    /// Returns the database's size in bytes.
    pub async fn size(&self) -> Result<u64, StoreError> {
        let results = self.batch(vec![self.statement("SELECT 1", &[])?]).await?;
        results.first().map_or(Ok(0), size_of)
    }

    /// Runs the statements as one transaction. Returns whether the first changed anything.
    pub async fn change(&self, statements: Vec<Statement>) -> Result<bool, StoreError> {
        let results = self.batch(statements).await?;
        results.first().map_or(Ok(0), changes_of).map(|n| n > 0)
    }
}

/// The database of usage. A type of its own, so that no statement reaches the wrong database.
#[derive(Clone)]
pub struct UsageDb {
    db: Db,
    /// Holds raw calls, if it is bound.
    bucket: Option<Bucket>,
}

impl UsageDb {
    /// Opens it for an invocation that does not need the other database.
    pub fn open(env: &Env) -> Result<Self, StoreError> {
        Db::open(env)?.usage(env)
    }

    /// Returns the queries left to the invocation.
    pub fn left(&self) -> u32 {
        self.db.budget().d1_left()
    }

    /// Counts a read of the bucket like a query.
    pub fn note_read(&self) {
        self.db.budget().note_d1(1);
    }

    pub fn bucket(&self) -> Option<&Bucket> {
        self.bucket.as_ref()
    }

    pub fn statement(&self, sql: &str, params: &[Param]) -> Result<Statement, StoreError> {
        self.db.statement(sql, params)
    }

    pub fn rows<T: DeserializeOwned>(
        &self,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<T>, StoreError>> {
        self.db.rows(statement)
    }

    pub fn first<T: DeserializeOwned>(
        &self,
        statement: Statement,
    ) -> impl Future<Output = Result<Option<T>, StoreError>> {
        self.db.first(statement)
    }

    /// Runs the statements as one transaction.
    pub fn batch(
        &self,
        statements: Vec<Statement>,
    ) -> impl Future<Output = Result<Vec<D1Result>, StoreError>> {
        self.db.batch(statements)
    }
}

/// Makes a statement that undoes the whole batch if the statement before it changed nothing.
pub fn or_abort(db: &Db) -> Result<Statement, StoreError> {
    db.statement(sql!("changed_or_abort"), &[])
}

/// Returns the number of rows that a statement changed.
pub fn changes_of(result: &D1Result) -> Result<usize, StoreError> {
    Ok(result.meta()?.and_then(|meta| meta.changes).unwrap_or(0))
}

/// Returns the size in bytes of the database that gave a result.
pub fn size_of(result: &D1Result) -> Result<u64, StoreError> {
    let size = result.meta()?.and_then(|meta| meta.size_after);
    Ok(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0))
}

/// Returns the rows that can be read. One that cannot, for example with a newer version's kind or role, is logged
/// and left out: it must not fail the whole list, and grants nothing.
pub fn rows_of<T: DeserializeOwned>(result: &D1Result) -> Result<Vec<T>, StoreError> {
    let read = |row| read_row(row).inspect_err(|e| log(Source::Isolate, "row left out", &e.to_string())).ok();
    Ok(values_of(result)?.into_iter().filter_map(read).collect())
}

pub fn all_rows_of<T: DeserializeOwned>(result: &D1Result) -> Result<Vec<T>, StoreError> {
    values_of(result)?.into_iter().map(read_row).collect()
}

/// Reads a row.
fn read_row<T: DeserializeOwned>(row: Row) -> Result<T, StoreError> {
    json::read(Value::Object(row)).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// A row: its columns by name.
type Row = Map<String, Value>;

/// A row as it is in JavaScript.
#[derive(Deserialize)]
#[serde(transparent)]
struct JsRow(#[serde(deserialize_with = "serde_wasm_bindgen::preserve::deserialize")] JsValue);

/// Returns all rows. One text crosses from JavaScript, not each field.
fn values_of(result: &D1Result) -> Result<Vec<Row>, StoreError> {
    if let Some(error) = result.error() {
        return Err(StoreError::Unreachable(error));
    }
    let rows: Vec<JsRow> = result.results().map_err(|e| StoreError::Unreadable(e.to_string()))?;
    let rows: Array = rows.into_iter().map(|row| row.0).collect();
    let json = JSON::stringify(&rows).ok().and_then(|json| json.as_string()).unwrap_or_default();
    serde_json::from_str(&json).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// Converts rows to items. One that cannot be converted is logged and left out, as in [`rows_of`].
pub fn readable<R, T: TryFrom<R, Error = StoreError>>(rows: Vec<R>) -> Vec<T> {
    let read = |row| {
        T::try_from(row).inspect_err(|error| log(Source::Isolate, "row left out", &error.to_string())).ok()
    };
    rows.into_iter().filter_map(read).collect()
}

/// A row as D1 returned it, and the result of reading it.
pub type ReadRow<T> = (Row, Result<T, StoreError>);

/// Reads each row separately: one that cannot be read fails no other.
pub fn each_row_of<T: DeserializeOwned>(result: &D1Result) -> Result<Vec<ReadRow<T>>, StoreError> {
    Ok(values_of(result)?.into_iter().map(|row| (row.clone(), read_row(row))).collect())
}

/// Reads a JSON column; gives the empty value if it cannot be read, because an unreadable value grants
/// nothing.
pub fn json_column<T: DeserializeOwned + Default>(text: &str) -> T {
    json::from_text(text).unwrap_or_default()
}

/// Reads a JSON column for a view. If it cannot be read, its name is added to `unreadable`.
pub fn column_or_note<T: DeserializeOwned + Default>(
    text: &str,
    name: &str,
    unreadable: &mut Vec<String>,
) -> T {
    json::from_text(text).unwrap_or_else(|_| {
        unreadable.push(name.to_owned());
        T::default()
    })
}

/// Refuses to write back a view that lacks unreadable fields.
pub fn refuse_unreadable(unreadable: &[String]) -> Result<(), StoreError> {
    if unreadable.is_empty() { Ok(()) } else { Err(StoreError::Unreadable(unreadable.join(", "))) }
}

/// Reads a JSON column; fails if it cannot be read, for columns without a safe replacement.
pub fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    json::from_text(text).map_err(|e| StoreError::Unreadable(format!("a JSON column: {e}")))
}

/// Writes the text of a JSON column or parameter.
pub fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Value(e.to_string()))
}
