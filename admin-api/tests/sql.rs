//! Checks every SQL statement against the migrated schema: it can be prepared, and statements on hot paths use their
//! indexes. The modules check what groups of statements do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy does not see a whole file as a test"
)]

#[path = "sql/alerts.rs"]
mod alerts;
#[path = "sql/audit.rs"]
mod audit;
#[path = "sql/deliveries.rs"]
mod deliveries;
#[path = "sql/invitations.rs"]
mod invitations;
#[path = "sql/outbox.rs"]
mod outbox;
#[path = "sql/people.rs"]
mod people;
#[path = "sql/tokens.rs"]
mod tokens;
#[path = "sql/upkeep.rs"]
mod upkeep;
#[path = "sql/usage_bounds.rs"]
mod usage_bounds;
#[path = "sql/usage_cost.rs"]
mod usage_cost;
#[path = "sql/usage_explored.rs"]
mod usage_explored;
#[path = "sql/usage_labels.rs"]
mod usage_labels;
#[path = "sql/usage_models.rs"]
mod usage_models;
#[path = "sql/usage_reports.rs"]
mod usage_reports;
#[path = "sql/usage_reports_model.rs"]
mod usage_reports_model;
#[path = "sql/usage_reports_speed.rs"]
mod usage_reports_speed;
#[path = "sql/usage_schedules.rs"]
mod usage_schedules;
#[path = "sql/usage_sent.rs"]
mod usage_sent;
#[path = "sql/usage_store.rs"]
mod usage_store;

use contract::audit::Deed;
use rusqlite::{Connection, params};
use std::fs;
use std::path::{Path, PathBuf};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn sql_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    files.sort();
    files
}

fn query(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db/queries").join(format!("{name}.sql"));
    fs::read_to_string(path).unwrap()
}

fn migrated() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    for file in sql_files("../d1-migrations") {
        db.execute_batch(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }
    db
}

#[test]
fn every_statement_prepares_against_the_schema() {
    let db = migrated();
    let files = sql_files("src/db/queries");
    assert!(files.len() > 50);
    for file in files {
        let sql = fs::read_to_string(&file).unwrap();
        if let Err(error) = db.prepare(&sql) {
            panic!("{}: {error}", file.display());
        }
    }
}

#[test]
fn every_statement_of_usage_prepares_against_its_schema() {
    let db = usage_store::Store::new().0;
    let files = sql_files("src/db/usage_queries");
    assert!(files.len() > 30);
    for file in files {
        let sql = fs::read_to_string(&file).unwrap();
        if let Err(error) = db.prepare(&sql) {
            panic!("{}: {error}", file.display());
        }
    }
}

#[test]
fn statements_that_write_audit_entries_themselves_name_known_deeds() {
    let mut found = 0;
    for file in sql_files("src/db/queries") {
        let sql = fs::read_to_string(&file).unwrap();
        let Some((before, after)) = sql.split_once("'done'").filter(|_| sql.contains("INSERT INTO audit"))
        else {
            continue;
        };
        let (deed, entity) = (before.rsplit('\'').nth(1).unwrap(), after.split('\'').nth(1).unwrap());
        let known = Deed::parse(deed).unwrap_or_else(|| panic!("{}: {deed}", file.display()));
        assert_eq!(known.entity().as_str(), entity, "{}", file.display());
        found += 1;
    }
    assert_eq!(found, 3);
}

fn plan(db: &Connection, name: &str) -> String {
    let sql = query(name);
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn lists_and_reports_search_an_index() {
    let db = migrated();
    for (name, wanted) in [
        ("tokens_list_newest", "SEARCH tokens USING INDEX tokens_by_created"),
        ("tokens_list_oldest", "SEARCH tokens USING INDEX tokens_by_created"),
        ("tokens_list_name", "SEARCH tokens USING INDEX tokens_by_name"),
        ("tokens_list_name_descending", "SEARCH tokens USING INDEX tokens_by_name"),
        ("routes_list", "SEARCH routes USING INDEX"),
        ("outbox_claim", "SEARCH outbox USING COVERING INDEX outbox_due (priority=? AND next_attempt_at<?)"),
        ("outbox_take", "SEARCH outbox USING INDEX outbox_by_entity (kind=? AND entity_id=?)"),
        ("outbox_take_tokens", "SEARCH outbox USING INDEX outbox_by_entity (kind=? AND entity_id=?)"),
        ("outbox_of_team", "SEARCH t USING COVERING INDEX tokens_by_team (team_id=?)"),
        ("outbox_watch_due", "SEARCH outbox_watch USING PRIMARY KEY (due_at<?)"),
        ("outbox_watch_done", "SEARCH outbox_watch USING PRIMARY KEY (due_at=? AND kind=? AND entity_id=?)"),
        ("credentials_under_others", "SEARCH credentials USING INDEX credentials_by_seal (sealed_under<?)"),
        ("credentials_seals", "SEARCH credentials USING COVERING INDEX credentials_by_seal"),
        ("secret_find", "SEARCH s USING PRIMARY KEY"),
        ("key_load", "SEARCH s USING PRIMARY KEY"),
        ("keys_list", "SEARCH k USING INDEX api_keys_by_created"),
        ("keys_made_by", "SEARCH k USING INDEX api_keys_by_maker"),
    ] {
        let plan = plan(&db, name);
        assert!(plan.contains(wanted), "{name}:\n{plan}");
    }
}

#[test]
fn no_statement_scans_the_rollups() {
    let db = usage_store::Store::new().0;
    for file in sql_files("src/db/usage_queries") {
        let sql = fs::read_to_string(&file).unwrap();
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows =
            statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3)).unwrap();
        for line in rows.map(Result::unwrap) {
            assert!(
                !["SCAN rollups", "SCAN r", "SCAN taken"].contains(&line.as_str()),
                "{}: {line}",
                file.display()
            );
        }
    }
}

fn with_token(db: &Connection) {
    db.execute(
        &query("token_insert"),
        params![
            "tok_1",
            "n",
            "core-team",
            None::<&str>,
            r#"["*"]"#,
            "[]",
            None::<&str>,
            0,
            0,
            None::<i64>,
            "u",
            1
        ],
    )
    .unwrap();
}
