//! Statements of the cron and the consumer: their work is bounded for tables of any size.

use super::usage_store::{Store, usage_query};
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
        format!(
            "{series} INSERT INTO canary_hours SELECT ({NOW} - {NOW} % {HOUR_MS}) - i * {HOUR_MS}, '{{}}' FROM n"
        ),
        format!("{series} INSERT INTO webhook_messages (id, received_at) SELECT 'w' || i, {NOW} FROM n"),
        format!(
            "{series} INSERT INTO notifications (kind, subject, created_at, updated_at, resolved_at) SELECT 'token-expiring', 't' || i, 0, 0, {NOW} FROM n"
        ),
        format!(
            "{series} INSERT INTO notification_snoozes SELECT 'u' || i, 'token-expiring', 't' || i, 0, {NOW} + i FROM n"
        ),
        "INSERT INTO channels (id, name, kind, address, sealed, sealed_under, events, thresholds, language, created_at, updated_at) VALUES ('chn_1', 'c', 'slack', '', 'v1.a.b', '', '[]', '[]', 'en', 0, 0)".to_owned(),
        format!(
            "{series} INSERT INTO alerts (kind, subject, period, is_over, details, before, at, planned_at) SELECT 'token-expiring', 't' || i, '1', 0, '{{}}', 0, {NOW}, {NOW} FROM n"
        ),
        format!(
            "{series} INSERT INTO deliveries (id, channel_id, event, subject, alert, state, due_at, next_at) SELECT 'msg_' || i, 'chn_1', 'token-ends', 't' || i, '{{}}', 'sent', {NOW} - {DAY_MS}, {NOW} FROM n"
        ),
        format!("{series} INSERT INTO token_places SELECT 't' || i, 'country:TW', 0, {NOW} FROM n"),
        format!(
            "{series} INSERT INTO invitations (id, email, state, invited_by, created_at, expires_at) SELECT 'i' || i, 'e' || i, 'accepted', 'u', i, i FROM n"
        ),
    ];
    let twenty = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)";
    statements.push(format!("{twenty} INSERT INTO routes (id, name, path, backend_url, created_by, created_at, updated_at) SELECT 'r' || i, 'r', '/api/r' || i, 'https://x.example', 'u', 0, 0 FROM n"));
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
        ("notify_expiring", vec![NOW.into(), (NOW + 14 * DAY_MS).into(), text("[14,3,1]")]),
        ("notify_expiring_resolve", of(&[NOW, NOW + 14 * DAY_MS])),
        ("notify_failing", vec![NOW.into(), text(r#"[{"id":"r1","calls":9,"failed":8}]"#)]),
        ("notify_failing_resolve", of(&[NOW])),
        ("notify_losses", of(&[NOW, 1, 2])),
        ("notify_over", vec![text("usage-shed"), NOW.into(), (NOW - DAY_MS).into()]),
        ("notify_losses_resolve", of(&[NOW])),
        ("notify_resolve", kind("queue-stalled")),
        ("notify_publication", of(&[NOW, NOW - 300_000])),
        ("notify_alerts_over", of(&[NOW, NOW - 300_000])),
        ("notify_if", vec![text("database-full"), text("DB"), text("{}"), NOW.into(), 0.into()]),
        ("limits_of_tokens", vec![text(r#"["t1","t2"]"#)]),
        ("notify_budgets_resolve", vec![NOW.into(), text(r#"["t1 x"]"#)]),
        (
            "notify_budgets",
            vec![NOW.into(), text(r#"[{"subject":"t1 x","team":"busy","details":{"step":80}}]"#)],
        ),
        (
            "notify_of_tokens",
            vec![NOW.into(), text("token-spike"), text(r#"[{"token":"t3","details":{}}]"#), 0.into()],
        ),
        ("tokens_made", vec![text(r#"["t1","t2"]"#)]),
        ("alerts_waiting", of(&[200])),
        ("channels_wanting", vec![]),
        ("channels_thresholds", vec![]),
        ("deliveries_recent", of(&[NOW - HOUR_MS])),
        ("delivery_take", of(&[NOW, NOW + 1, 5])),
        ("notify_channels", of(&[NOW, NOW - DAY_MS])),
        ("alerts_purge", of(&[NOW - 40 * DAY_MS, 500])),
        ("deliveries_purge", of(&[NOW - 14 * DAY_MS, 500])),
        ("places_of", vec![text(r#"["t1"]"#)]),
        ("unpriced_open", vec![]),
        ("canary_hours", of(&[NOW - 30 * DAY_MS])),
        ("canary_hour_put", vec![(NOW - NOW % HOUR_MS).into(), text("{}")]),
        ("canary_hours_purge", of(&[NOW - 30 * DAY_MS, 24])),
        ("invitations_expire", of(&[NOW])),
        ("invitations_due", of(&[NOW, NOW, 10])),
        ("audit_places", vec![]),
        ("audit_waiting", of(&[9_000])),
        ("audit_unchained", of(&[9_000, 101, 2_000_000])),
        ("audit_cut", of(&[NOW - 400 * DAY_MS, 500, NOW])),
        ("audit_purge", vec![]),
        ("webhooks_purge", of(&[NOW - 30 * DAY_MS, 500])),
        ("notifications_purge", of(&[NOW - 30 * DAY_MS, 500])),
        ("snoozes_purge", of(&[NOW, 500])),
        ("idempotency_purge", of(&[NOW - DAY_MS, 500])),
        ("secrets_purge", of(&[NOW - 90 * DAY_MS, 500])),
        ("secrets_purge_revoked", of(&[NOW - 90 * DAY_MS, NOW - 120 * DAY_MS, 500])),
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
    let others =
        ["drift_open", "drift_resolve", "drift_count", "notifications_list", "notification_snooze", "notify"];
    for name in source.split("sql!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(known.contains(&name) || others.contains(&name), "{name} is in no list");
    }
}

/// The database of usage with ten thousand rows in each table that grows, and two days of rollups.
fn filled_usage() -> Connection {
    let db = Store::new().0;
    let series = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
    let rollups = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 23039)";
    for statement in [
        format!("{series} INSERT INTO losses SELECT 'm' || i, {NOW} - {DAY_MS} * 2, 1, 0, 0 FROM n"),
        format!("{series} INSERT INTO taken SELECT {NOW} / 60000 - i, 'k' FROM n"),
        format!("{series} INSERT INTO imported_parts SELECT 'd' || i, 0 FROM n"),
        format!("{series} INSERT INTO last_calls SELECT 'r' || i, 'team', 0 FROM n"),
        format!(
            "{rollups} INSERT INTO rollups SELECT 'route', '5m', ({NOW} / 300000 - i / 40) * 300000, 'r' || (i % 40), 1,1,0,0,0,0,0,0,1,1,0,0,0,0,0,0,'{{}}' FROM n"
        ),
    ] {
        db.execute_batch(&statement).unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    db
}

#[test]
fn no_statement_of_the_cron_scans_a_growing_table_of_usage() {
    let db = filled_usage();
    let text = |text: &str| rusqlite::types::Value::from(text.to_owned());
    let minute = NOW / 60_000;
    for (name, values) in [
        ("usage_state", vec![]),
        ("losses_since", vec![(NOW - DAY_MS).into()]),
        ("losses_purge", vec![(NOW - 400 * DAY_MS).into(), 500.into()]),
        ("routes_failing", vec![(NOW - HOUR_MS).into()]),
        ("tokens_active", vec![(NOW - HOUR_MS).into()]),
        ("tokens_usual", vec![text(&format!(r#"[["team t1",{NOW}]]"#))]),
        ("taken_purge", vec![(minute - 31 * 1_440).into()]),
        ("taken_get", vec![text(&format!("[{minute}]"))]),
        ("inbox_last", vec![]),
        (
            "rollups_purge",
            vec![text(r#"["all","route"]"#), text("5m"), (NOW - 3 * DAY_MS).into(), DAY_MS.into()],
        ),
        ("fold_state", vec![]),
        ("fold_inbox", vec![100.into(), 1_000_000.into()]),
    ] {
        let mut statement = db.prepare(&usage_query(name)).unwrap();
        if statement.column_count() == 0 {
            statement.execute(rusqlite::params_from_iter(values)).unwrap();
        } else {
            statement.query_map(rusqlite::params_from_iter(values), |_| Ok(())).unwrap().for_each(drop);
        }
        let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
        assert!(steps < MOST_STEPS, "{name} takes {steps} steps");
    }
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
fn of_the_canarys_calls_the_first_of_the_newest_run_is_noted() {
    let db = migrated();
    let note = |value: &str, run: i64| {
        db.execute(&query("canary_stored"), params!["canary-usage", value, run]).unwrap();
        db.query_row("SELECT value FROM settings WHERE key = 'canary-usage'", [], |row| {
            row.get::<_, String>(0)
        })
        .unwrap()
    };
    assert_eq!(note("1", 7), "1");
    assert_eq!(note("2", 7), "1");
    assert_eq!(note("3", 6), "1");
    assert_eq!(note("4", 8), "4");
}
