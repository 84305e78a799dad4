//! The Durable Object of the change feed. Polls are answered from memory; what is appended is saved first, as the
//! platform holds a response back until the save is durable.

use crate::sql::rows;
use domain::feed::{Command, Feed, Placed, Row, Table};
use domain::json::from_text;
use domain::time::UnixMs;
use edge::clock::now;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use worker::{
    DurableObject, Env, Request, Response, Result, SqlStorage, SqlStorageValue, State, durable_object,
};

const SCHEMA: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS place (id INTEGER PRIMARY KEY CHECK (id = 0), seq INTEGER NOT NULL, floor INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS tokens (hash TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS tables (name TEXT NOT NULL, part INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, version INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (name, part)) STRICT",
];
const SAVE_PLACE: &str = "INSERT INTO place (id, seq, floor) VALUES (0, ?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, floor = excluded.floor";
const SAVE_TOKEN: &str = "INSERT INTO tokens (hash, seq, at, version, text) VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET seq = excluded.seq, at = excluded.at, version = excluded.version, text = excluded.text";
const SAVE_PART: &str = "INSERT INTO tables (name, part, seq, at, version, text) VALUES (?, ?, ?, ?, ?, ?)";

/// The change feed.
#[durable_object(fetch)]
pub struct ChangeFeed {
    state: State,
    /// `None` before it is read, and after a failed save.
    feed: RefCell<Option<Box<Feed>>>,
}

impl std::fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeFeed").finish_non_exhaustive()
    }
}

impl DurableObject for ChangeFeed {
    fn new(state: State, _: Env) -> Self {
        Self { state, feed: RefCell::default() }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let answer = match from_text(&request.text().await?).map_err(|e| e.to_string())? {
            Command::Append(append) => self.with(|feed, sql| {
                let rows = feed.append(append, now());
                save(feed, &rows, sql)?;
                to_json(&feed.seq())
            }),
            Command::Poll(poll) => self.with(|feed, _| to_json(&feed.poll(&poll, now()))),
            Command::Glance(at) => self.with(|feed, _| to_json(&feed.glance(&at, now()))),
        };
        Response::ok(answer?)
    }
}

fn to_json(answer: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(answer)?)
}

impl ChangeFeed {
    /// Lets `act` use the feed, of which what is too old is let go before. Nothing is awaited meanwhile, so no other request can come in between.
    fn with<T>(&self, act: impl FnOnce(&mut Feed, &SqlStorage) -> Result<T>) -> Result<T> {
        let sql = self.state.storage().sql();
        let mut feed = self.taken(&sql)?;
        let answer = act(&mut feed, &sql)?;
        self.feed.replace(Some(feed));
        Ok(answer)
    }

    fn taken(&self, sql: &SqlStorage) -> Result<Box<Feed>> {
        let mut feed = self.feed.take().map_or_else(|| load(sql).map(Box::new), Ok)?;
        feed.prune(now());
        Ok(feed)
    }
}

/// A row of any of the tables.
#[derive(Debug, Deserialize)]
struct Saved {
    name: String,
    seq: u64,
    at: UnixMs,
    version: u64,
    text: String,
}

impl Saved {
    fn placed(self) -> (UnixMs, Placed) {
        (self.at, Placed { seq: self.seq, version: self.version, text: self.text })
    }
}

fn load(sql: &SqlStorage) -> Result<Feed> {
    #[derive(Deserialize)]
    struct Place {
        seq: u64,
        floor: u64,
    }
    for statement in SCHEMA {
        sql.exec(statement, None)?;
    }
    let saved: Vec<Place> = rows(sql, "SELECT seq, floor FROM place")?;
    let Some(place) = saved.first() else {
        let feed = Feed::new(now());
        // Otherwise a restart before the first change would begin elsewhere, and every isolate would start over.
        save_place(&feed, sql)?;
        return Ok(feed);
    };
    let tokens: Vec<Saved> =
        rows(sql, "SELECT hash AS name, seq, at, version, text FROM tokens ORDER BY seq")?;
    let parts: Vec<Saved> = rows(sql, "SELECT name, seq, at, version, text FROM tables ORDER BY name, part")?;
    let mut kept: Vec<Row> = tokens
        .into_iter()
        .filter_map(|saved| {
            let hash = saved.name.parse().ok()?;
            let (at, placed) = saved.placed();
            Some(Row::Token(hash, at, placed))
        })
        .collect();
    let mut tables: Vec<Saved> = Vec::new();
    for part in parts {
        match tables.last_mut() {
            Some(table) if table.name == part.name => table.text.push_str(&part.text),
            _ => tables.push(part),
        }
    }
    kept.extend(tables.into_iter().filter_map(|saved| {
        let table = Table::ALL.into_iter().find(|table| table.as_str() == saved.name)?;
        let (at, placed) = saved.placed();
        Some(Row::Table(table, at, placed))
    }));
    Ok(Feed::restored(place.seq, place.floor, kept))
}

/// Saves rows and the feed's place, and deletes rows that are no longer kept.
fn save(feed: &mut Feed, rows: &[Row], sql: &SqlStorage) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    for row in rows {
        match row {
            Row::Token(hash, at, placed) => {
                let values = vec![
                    hash.as_str().into(),
                    number(placed.seq)?,
                    SqlStorageValue::try_from_i64(*at)?,
                    number(placed.version)?,
                    placed.text.as_str().into(),
                ];
                sql.exec(SAVE_TOKEN, values)?;
            }
            Row::Table(table, at, placed) => {
                sql.exec("DELETE FROM tables WHERE name = ?", vec![table.as_str().into()])?;
                for (part, text) in (0_i32..).zip(Row::parts(&placed.text)) {
                    let values = vec![
                        table.as_str().into(),
                        part.into(),
                        number(placed.seq)?,
                        SqlStorageValue::try_from_i64(*at)?,
                        number(placed.version)?,
                        text.into(),
                    ];
                    sql.exec(SAVE_PART, values)?;
                }
            }
        }
    }
    feed.prune(now());
    sql.exec("DELETE FROM tokens WHERE seq <= ?", vec![number(feed.floor())?])?;
    save_place(feed, sql)
}

fn save_place(feed: &Feed, sql: &SqlStorage) -> Result<()> {
    sql.exec(SAVE_PLACE, vec![number(feed.seq())?, number(feed.floor())?])?;
    Ok(())
}

/// A number as `SQLite` takes it from JavaScript. Places begin at the time in ms, so none is near 2^53.
fn number(value: u64) -> Result<SqlStorageValue> {
    SqlStorageValue::try_from_i64(i64::try_from(value).unwrap_or(i64::MAX))
}
