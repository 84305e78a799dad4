//! The outbox: its order, its leases, and the version of the route table.

use super::{migrated, query};
use rusqlite::{Connection, params};
use std::fs;

#[test]
fn the_first_token_of_the_earlier_form_republishes_the_table() {
    let db = migrated();
    let import = |hash: &str| {
        let version = || {
            db.query_row(
                "SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'routes-version'",
                [],
                |row| row.get::<_, i64>(0),
            )
            .unwrap()
        };
        let before = version();
        db.execute(&query("routes_version_bump_first_legacy"), params![1]).unwrap();
        db.execute(&query("outbox_insert_routes_if_changed"), params![format!("obx_{hash}"), 1]).unwrap();
        let tokens = serde_json::json!([{"id": format!("tok_{hash}"), "hash": hash.repeat(64), "name": "n", "team": "core-team", "scopes": ["*"]}]).to_string();
        db.execute(&query("import_tokens"), params![tokens, 1, "a"]).unwrap();
        db.execute(&query("import_secrets"), params![tokens, 1]).unwrap();
        let told: i64 =
            db.query_row("SELECT count(*) FROM outbox WHERE kind = 'routes'", [], |row| row.get(0)).unwrap();
        (version() - before, told)
    };
    assert_eq!(import("a"), (1, 1));
    assert_eq!(import("b"), (0, 1), "the table says so already");
    db.execute("UPDATE tokens SET revoked_at = 1", []).unwrap();
    assert_eq!(import("c"), (1, 2), "it had ceased to say so");
    let legacy: i64 = db.query_row(&query("routes_version"), params![2], |row| row.get(1)).unwrap();
    assert_eq!(legacy, 1);
}

#[test]
fn only_a_change_increments_the_route_tables_version() {
    let db = migrated();
    let version =
        || -> i64 { db.query_row(&query("routes_version"), params![1], |row| row.get("version")).unwrap() };
    db.execute(
        &query("route_insert"),
        params![
            "rte_1",
            "n",
            "/api/x",
            "https://x.example/",
            None::<&str>,
            "[]",
            "[]",
            1,
            None::<i64>,
            "[]",
            0,
            "{}",
            "u",
            1,
            None::<&str>,
            0
        ],
    )
    .unwrap();
    db.execute(&query("routes_version_bump"), params![2]).unwrap();
    assert_eq!(version(), 1);
    db.execute(&query("route_delete"), params!["rte_none", None::<i64>]).unwrap();
    db.execute(&query("routes_version_bump"), params![3]).unwrap();
    assert_eq!(version(), 1);
}

/// Puts tokens of every kind into the database, and returns it.
fn with_tokens() -> Connection {
    let db = migrated();
    db.execute_batch(
        "INSERT INTO teams (id, name, description, color, icon, created_at, updated_at)
         VALUES ('ops', 'ops', '', '#000000', 'x', 0, 0);
         INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at, version, revoked_at, disabled_at, last_used_at)
         VALUES ('new', 'n', 'ops', '[]', 0, 0, 1, NULL, NULL, NULL),
                ('edited', 'n', 'ops', '[]', 0, 0, 2, NULL, NULL, 5),
                ('busy', 'n', 'ops', '[]', 0, 0, 1, NULL, NULL, 99),
                ('disabled', 'n', 'ops', '[]', 0, 0, 1, NULL, 7, NULL),
                ('revoked', 'n', 'ops', '[]', 0, 0, 2, 8, NULL, NULL);",
    )
    .unwrap();
    db
}

/// Claims rows one at a time. Returns their subjects, in that order.
fn claimed(db: &Connection, now: i64) -> Vec<String> {
    let mut order = Vec::new();
    let mut claim = db.prepare(&query("outbox_claim")).unwrap();
    loop {
        let row = claim
            .query_map(params![now, i64::MAX, 1], |row| row.get::<_, String>("entity_id"))
            .unwrap()
            .next();
        let Some(row) = row else { return order };
        order.push(row.unwrap());
    }
}

#[test]
fn a_revocation_comes_before_a_cap_change_and_both_before_a_republication() {
    let db = with_tokens();
    let republish = fs::read_to_string("../scripts/ops/derived/republish.sql").unwrap();
    db.execute_batch(&republish).unwrap();
    let far = i64::MAX - 1;
    let insert = |id: &str, kind: &str, entity: &str, at: i64| {
        // `changes()` counts the rows of the previous statement.
        db.execute("UPDATE teams SET name = 'ops'", []).unwrap();
        db.execute(&query("outbox_insert"), params![id, kind, entity, at, at]).unwrap();
    };
    db.execute("UPDATE teams SET name = 'ops'", []).unwrap();
    db.execute(&query("outbox_insert_team"), params!["ops", 10, 10]).unwrap();
    insert("r1", "token", "new", 20);
    insert("r2", "token", "revoked", 30);
    insert("r3", "token", "disabled", 31);
    insert("r4", "token", "edited", 32);
    let order = claimed(&db, far);
    // First the republished route table and prices, due since time 0; then a row that may revoke something.
    assert_eq!(order[..5], ["", "", "revoked", "disabled", "edited"]);
    let mut team = order[5..9].to_vec();
    team.sort();
    assert_eq!(team, ["busy", "disabled", "edited", "new"]);
    assert_eq!(order[9], "new");
    assert_eq!(order[10..12], ["busy", "edited"]);
    assert_eq!(order.len(), 14);
}

#[test]
fn published_subjects_are_watched_except_in_a_republication() {
    let db = with_tokens();
    db.execute(&query("outbox_insert_tokens"), params![r#"["new","revoked","gone"]"#, 5, 5]).unwrap();
    db.execute_batch(&fs::read_to_string("../scripts/ops/derived/republish.sql").unwrap()).unwrap();
    let ids: String = db.query_row("SELECT json_group_array(id) FROM outbox", [], |row| row.get(0)).unwrap();
    db.execute(&query("outbox_watch_add"), params![ids, 77]).unwrap();
    db.execute(&query("outbox_done"), params![ids]).unwrap();
    let count = |table: &str| -> u32 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("outbox"), count("outbox_watch")), (0, 4));
    let done =
        r#"[{"due_at":77,"kind":"token","entity_id":"new"},{"due_at":78,"kind":"token","entity_id":"gone"}]"#;
    db.execute(&query("outbox_watch_done"), params![done]).unwrap();
    assert_eq!(count("outbox_watch"), 3);
}

#[test]
fn all_failures_of_a_run_are_one_statement() {
    let db = with_tokens();
    db.execute(&query("outbox_insert_tokens"), params![r#"["new","busy"]"#, 5, 5]).unwrap();
    let failed: String = db
        .query_row(
            "SELECT json_group_array(json_object('id', id, 'retry_at', 60 + length(entity_id), 'error', 'KV: ' || entity_id)) FROM outbox",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(db.execute(&query("outbox_fail"), params![failed]).unwrap(), 2);
    let row = |entity: &str| -> (i64, i64, String) {
        db.query_row(
            "SELECT attempts, next_attempt_at, last_error FROM outbox WHERE entity_id = ?1",
            params![entity],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap()
    };
    assert_eq!(row("new"), (1, 63, "KV: new".into()));
    assert_eq!(row("busy"), (1, 64, "KV: busy".into()));
}

#[test]
fn one_run_holds_the_lease_until_it_ends_or_dies() {
    let db = migrated();
    let take = |holder: &str, now: i64| {
        db.execute(&query("lease_take"), params!["l", holder, now, now - 100]).unwrap()
    };
    assert_eq!((take("1", 1_000), take("2", 1_050)), (1, 0));
    assert_eq!(db.execute(&query("lease_give_back"), params!["l", "2"]).unwrap(), 0, "it is another's");
    assert_eq!(db.execute(&query("lease_give_back"), params!["l", "1"]).unwrap(), 1);
    assert_eq!((take("2", 1_060), take("3", 1_160), take("3", 1_161)), (1, 0, 1));
}
