//! Statements of the cron and the consumer: their work is bounded for tables of any size.

use super::{DAY_MS, HOUR_MS, migrated, plan, query};
use rusqlite::{Connection, params};
use std::fs;
use std::path::Path;

/// Fills every table that grows with ten thousand old rows, as in a busy system. It does not run ANALYZE,
/// because D1 does not.
fn filled() -> Connection {
    let db = migrated();
    let series = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
    let hash = "printf('%064x', i)";
    let mut statements = vec![
        "INSERT INTO teams (id, name, created_at, updated_at) VALUES ('busy', 'busy', 0, 0)".to_owned(),
        format!(
            "{series} INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at, expires_at, revoked_at) SELECT 't' || i, 't', 'busy', '[]', i, i, iif(i % 2, {NOW} + 400 * {DAY_MS}, NULL), iif(i % 3, {NOW} - 300 * {DAY_MS}, NULL) FROM n"
        ),
        format!(
            "{series} INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at, ends_at) SELECT {hash}, 't' || i, '', '', i, iif(i % 2, {NOW} + i, NULL) FROM n"
        ),
        format!(
            "{series} INSERT INTO idempotency_keys (actor, endpoint, key, request_digest, entity_id, created_at) SELECT 'a', 'e', 'k' || i, '', '', {NOW} FROM n"
        ),
        format!(
            "{series} INSERT INTO audit (id, at, actor, action, result, entity, request_id) SELECT 'a' || i, {NOW}, 'a', 'x', 'done', 'x', 'r' FROM n"
        ),
        format!("{series} INSERT INTO webhook_messages (id, received_at) SELECT 'w' || i, {NOW} FROM n"),
        format!(
            "{series} INSERT INTO usage_losses (message_id, at) SELECT 'm' || i, {NOW} - {DAY_MS} * 2 FROM n"
        ),
        format!(
            "{series} INSERT INTO notifications (kind, subject, created_at, updated_at, resolved_at) SELECT 'token-expiring', 't' || i, 0, 0, {NOW} FROM n"
        ),
        format!(
            "{series} INSERT INTO usage_events (id, at, token_id, team_id, route_id, path, method, status, outcome, latency_ms, gateway_ms, request_id) SELECT 'e' || i, {NOW} - i, 't1', 'busy', 'r' || (i % 20), '/', 'GET', 200, 'ok', 1, 1, 'r' FROM n"
        ),
        format!(
            "{series} INSERT INTO invitations (id, email, state, invited_by, created_at, expires_at) SELECT 'i' || i, 'e' || i, 'accepted', 'u', i, i FROM n"
        ),
    ];
    let twenty = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)";
    statements.push(format!("{twenty} INSERT INTO routes (id, name, path, backend_url, created_by, created_at, updated_at) SELECT 'r' || i, 'r', '/api/r' || i, 'https://x.example', 'u', 0, 0 FROM n"));
    // Two days of five-minute rollups for twenty routes and as many deleted ones.
    statements.push(format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 23039) INSERT INTO usage_rollups SELECT 'route', '5m', 'r' || (i % 40), ({NOW} / 300000 - i / 40) * 300000, 1,1,0,0,0,0,0,0,1,1,0,0,0,0,0,0,'{{}}' FROM n"));
    for statement in statements {
        db.execute_batch(&statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    db
}

const NOW: i64 = 1_790_000_000_000;

/// Lists the statements that the cron runs each minute (or hour), with a minute's parameters.
fn cron_statements() -> Vec<(&'static str, Vec<rusqlite::types::Value>)> {
    let of = |values: &[i64]| values.iter().map(|n| rusqlite::types::Value::from(*n)).collect::<Vec<_>>();
    let text = |text: &str| rusqlite::types::Value::from(text.to_owned());
    let kind = |kind: &str| vec![text(kind), text(r#"["queue"]"#), NOW.into()];
    vec![
        ("notify_expiring", of(&[NOW, NOW + 14 * DAY_MS])),
        ("notify_expiring_resolve", of(&[NOW, NOW + 14 * DAY_MS])),
        ("notify_failing", of(&[NOW, NOW - HOUR_MS])),
        ("notify_failing_resolve", of(&[NOW])),
        ("notify_losses", of(&[NOW, NOW - DAY_MS])),
        ("notify_losses_resolve", of(&[NOW])),
        ("notify_resolve", kind("queue-stalled")),
        ("unpriced_open", vec![]),
        ("invitations_expire", of(&[NOW])),
        ("invitations_due", of(&[NOW, NOW, 10])),
        ("audit_purge", of(&[NOW - 400 * DAY_MS, 500])),
        ("webhooks_purge", of(&[NOW - 30 * DAY_MS, 500])),
        ("losses_purge", of(&[NOW - 400 * DAY_MS, 500])),
        ("notifications_purge", of(&[NOW - 30 * DAY_MS, 500])),
        ("idempotency_purge", of(&[NOW - DAY_MS, 500])),
        ("secrets_purge", of(&[NOW - 90 * DAY_MS, 500])),
        ("secrets_purge_revoked", of(&[NOW - 90 * DAY_MS, NOW - 120 * DAY_MS, 500])),
        ("events_purge", of(&[NOW - 30 * DAY_MS, 500])),
        ("events_purge_note", of(&[NOW - 30 * DAY_MS, NOW])),
        ("rollups_purge", vec![text("5m"), (NOW - 3 * DAY_MS).into(), 500.into()]),
    ]
}

/// The most steps of SQLite's virtual machine; a scan of ten thousand rows takes at least some 50,000.
const MOST_STEPS: i32 = 15_000;

#[test]
fn no_statement_of_the_cron_scans_a_growing_table() {
    let db = filled();
    for (name, values) in cron_statements() {
        let mut statement = db.prepare(&query(name)).unwrap();
        if statement.column_count() == 0 {
            statement.execute(rusqlite::params_from_iter(values)).unwrap();
        } else {
            statement.query_map(rusqlite::params_from_iter(values), |_| Ok(())).unwrap().for_each(drop);
        }
        let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
        let scanned = statement.get_status(rusqlite::StatementStatus::FullscanStep);
        assert!(steps < MOST_STEPS, "{name} takes {steps} steps:\n{}", plan(&db, name));
        assert!(scanned < 100, "{name} scans {scanned} rows:\n{}", plan(&db, name));
    }
}

#[test]
fn every_upkeep_statement_of_the_cron_is_measured() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db/upkeep.rs")).unwrap();
    let known: Vec<&str> = cron_statements().iter().map(|(name, _)| *name).collect();
    // Statements of the comparison with KV and of the API, and those for single rows by key.
    let others = ["drift_open", "drift_resolve", "drift_count", "notifications_list", "notify"];
    for name in source.split("sql!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(known.contains(&name) || others.contains(&name), "{name} is in no list");
    }
}

#[test]
fn a_search_without_matches_stops_at_its_limit_and_says_where() {
    let db = filled();
    let key = |name: &str| match name {
        "token" => (Some("t1"), None, None),
        "route" => (None, Some("r1"), None),
        "team" => (None, None, Some("busy")),
        _ => (None, None, None),
    };
    for name in ["time", "token", "route", "team"] {
        let (token, route, team) = key(name);
        let mut look = db.prepare(&query(&format!("events_by_{name}"))).unwrap();
        let nothing: Option<&str> = None;
        let scan = 100;
        let found = look
            .query_map(
                params![0, nothing, token, route, "loop", nothing, nothing, nothing, NOW, "", 50, team, scan],
                |_| Ok(()),
            )
            .unwrap()
            .count();
        let steps = look.get_status(rusqlite::StatementStatus::VmStep);
        assert!(found == 0 && steps < 20_000, "{name}: {found} found in {steps} steps");
        let mut end = db.prepare(&query(&format!("events_by_{name}_end"))).unwrap();
        let key = token.or(route).or(team);
        let at = |scan: i64| end_at(&mut end, key, scan);
        let every = if name == "route" { 20 } else { 1 };
        let (last, beyond) = {
            let mut at = at;
            (at(100), at(10_001))
        };
        assert_eq!(last, Some(NOW - 1 - 99 * every), "{name}");
        assert_eq!(beyond, None, "{name}: the end was reached");
    }
}

fn end_at(statement: &mut rusqlite::Statement, key: Option<&str>, scan: i64) -> Option<i64> {
    let mut rows = statement.query(params![0, key, NOW, "", scan]).unwrap();
    rows.next().unwrap().map(|row| row.get(0).unwrap())
}

#[test]
fn calls_of_a_model_without_a_price_add_up_until_it_has_one() {
    let db = migrated();
    let note = |json: &str, now: i64| db.execute(&query("notify_unpriced"), params![json, now]).unwrap();
    let row = || {
        db.query_row(
            "SELECT details, created_at, resolved_at FROM notifications WHERE subject = 'm'",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?)),
        )
        .unwrap()
    };
    note(r#"[{"model":"m","calls":2}]"#, 5);
    note(r#"[{"model":"m","calls":3}]"#, 6);
    assert_eq!(row(), (r#"{"calls":5}"#.to_owned(), 5, None));
    db.execute(&query("notify_resolve"), params!["model-unpriced", r#"["m"]"#, 7]).unwrap();
    assert_eq!(row().2, Some(7));
    note(r#"[{"model":"m","calls":1}]"#, 8);
    assert_eq!(row(), (r#"{"calls":1}"#.to_owned(), 8, None));
    for i in 0..200 {
        note(&format!(r#"[{{"model":"made-up-{i}","calls":1}}]"#), 9);
    }
    let told: i64 = db.query_row("SELECT count(*) FROM notifications", [], |row| row.get(0)).unwrap();
    assert_eq!(told, 100, "names that clients make up have an end");
}

#[test]
fn one_batch_opens_at_most_the_remaining_unpriced_notifications() {
    let db = migrated();
    let note = |models: &[(String, u32)], now: i64| {
        let json: Vec<_> = models
            .iter()
            .map(|(model, calls)| serde_json::json!({ "model": model, "calls": calls }))
            .collect();
        let json = serde_json::Value::from(json).to_string();
        db.execute(&query("notify_unpriced"), params![json, now]).unwrap()
    };
    let open = || -> i64 {
        let sql = "SELECT count(*) FROM notifications WHERE resolved_at IS NULL";
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let models =
        |prefix: &str| (1..=250).map(|calls| (format!("{prefix}-{calls}"), calls)).collect::<Vec<_>>();
    assert_eq!(note(&models("a"), 1), 100);
    let least = "SELECT min(details ->> 'calls') FROM notifications";
    assert_eq!(db.query_row(least, [], |row| row.get::<_, i64>(0)).unwrap(), 151, "the most called");
    db.execute(&query("notify_resolve"), params!["model-unpriced", r#"["a-200","a-201"]"#, 2]).unwrap();
    assert_eq!((note(&models("b"), 3), open()), (2, 100));
    assert_eq!(
        (note(&models("a"), 4), open()),
        (98, 100),
        "open ones are renewed, resolved ones wait for room"
    );
}

#[test]
fn a_purge_is_noted_for_a_consumer_with_another_retention() {
    let db = filled();
    let noted = || -> i64 {
        db.query_row("SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'events-purged'", [], |row| {
            row.get(0)
        })
        .unwrap_or(0)
    };
    let purge = |before: i64| db.execute(&query("events_purge_note"), params![before, NOW]).unwrap();
    purge(NOW - DAY_MS);
    assert_eq!(noted(), 0, "nothing is that old");
    purge(NOW - 5_000);
    purge(NOW - 9_000);
    assert_eq!(noted(), NOW - 5_000, "it only grows");
}
