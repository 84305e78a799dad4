//! Alerts that triggers note, each once; deliveries that two runs make or take at once.

use super::{DAY_MS, migrated, query, with_token};
use rusqlite::{Connection, params};

fn channel(db: &Connection, id: &str, enabled: bool) {
    let sql = "INSERT INTO channels (id, name, kind, address, sealed, sealed_under, events, thresholds, language, enabled, created_at, updated_at) VALUES (?1, 'c', 'slack', '', 'v1.a.b', 'k', '[]', '[]', 'en', ?2, 0, 0)";
    db.execute(sql, params![id, enabled]).unwrap();
}

/// Kind, subject, whether it is over, step before and in the details.
fn noted(db: &Connection) -> Vec<(String, String, bool, i64, Option<i64>)> {
    let mut statement = db
        .prepare("SELECT kind, subject, is_over, before, CAST(details ->> 'step' AS INTEGER) FROM alerts ORDER BY id")
        .unwrap();
    let row = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

fn failing(db: &Connection, now: i64, is_steady: bool) {
    let json = format!(r#"[{{"id":"rte_1","calls":9,"failed":8,"is_steady":{is_steady}}}]"#);
    db.execute(&query("notify_failing"), params![now, json]).unwrap();
}

fn with_route(db: &Connection) {
    let sql = "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES ('rte_1', 'r', '/api/r', 'https://x.example', 0, 0)";
    db.execute(sql, []).unwrap();
}

#[test]
fn nothing_is_noted_while_nobody_is_to_be_told() {
    let db = migrated();
    with_route(&db);
    channel(&db, "chn_1", false);
    failing(&db, 1, true);
    assert_eq!(noted(&db), []);
}

#[test]
fn a_failing_route_is_noted_when_it_opens_when_it_has_lasted_and_when_it_is_over() {
    let db = migrated();
    with_route(&db);
    channel(&db, "chn_1", true);
    for (now, is_steady) in [(1, false), (2, false), (3, true), (4, true), (5, false)] {
        failing(&db, now, is_steady);
    }
    db.execute(&query("notify_failing_resolve"), [6]).unwrap();
    failing(&db, 7, false);
    db.execute(&query("notify_failing_resolve"), [8]).unwrap();
    let row = |is_over, step| ("route-failing".to_owned(), "rte_1".to_owned(), is_over, 0, step);
    let wanted = [row(false, None), row(false, Some(1)), row(true, Some(1)), row(false, None)];
    assert_eq!(noted(&db), wanted, "what has not lasted is never over");
}

#[test]
fn a_budget_is_noted_at_each_step_with_the_step_before() {
    let db = migrated();
    with_token(&db);
    channel(&db, "chn_1", true);
    let used = |now: i64, step: i64| {
        let json = format!(
            r#"[{{"subject":"tok_1 cost-micros-per-day","team":"core-team","details":{{"name":"n","token":"tok_1","step":{step},"limit":9,"resets_at":100}}}}]"#
        );
        db.execute(&query("notify_alerts_over"), params![now, 0]).unwrap();
        db.execute(&query("notify_budgets"), params![now, json]).unwrap();
    };
    for (now, step) in [(1, 50), (2, 50), (3, 80), (4, 100), (5, 100), (101, 50)] {
        used(now, step);
    }
    let steps: Vec<_> = noted(&db).into_iter().map(|(_, _, _, before, step)| (before, step)).collect();
    assert_eq!(steps, [(0, Some(50)), (50, Some(80)), (80, Some(100)), (0, Some(50))]);
    let free = r#"["tok_1 cost-micros-per-day"]"#;
    db.execute(&query("notify_budgets_resolve"), params![102, free]).unwrap();
    let open: i64 = db
        .query_row("SELECT count(*) FROM notifications WHERE resolved_at IS NULL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(open, 0);
}

#[test]
fn a_token_that_ends_is_noted_at_14_3_and_1_days() {
    let db = migrated();
    with_token(&db);
    channel(&db, "chn_1", true);
    let end = 100 * DAY_MS;
    db.execute("UPDATE tokens SET expires_at = ?1", [end]).unwrap();
    for days in (0..=20).rev() {
        let now = end - days * DAY_MS;
        db.execute(&query("notify_expiring"), params![now, now + 14 * DAY_MS, "[14,3,1]"]).unwrap();
    }
    let steps: Vec<_> = noted(&db).into_iter().filter_map(|(_, _, _, _, step)| step).collect();
    assert_eq!(steps, [14, 3, 1]);
}

#[test]
fn every_way_to_become_admin_is_noted_and_no_other_role() {
    let db = migrated();
    channel(&db, "chn_1", true);
    db.execute_batch(
        "INSERT INTO teams (id, name, created_at, updated_at) VALUES ('ops', 'Ops', 1, 1);
         INSERT INTO users (id, name, created_at, updated_at) VALUES ('u1', 'Ada', 1, 1), ('u2', NULL, 1, 1);",
    )
    .unwrap();
    db.execute(&query("membership_insert"), params!["u1", "ops", "ADMIN", 1]).unwrap();
    db.execute(&query("membership_insert"), params!["u2", "ops", "MANAGER", 1]).unwrap();
    db.execute(&query("membership_update"), params!["u2", "ops", "MANAGER", "ADMIN"]).unwrap();
    db.execute(&query("membership_update"), params!["u2", "ops", "ADMIN", "VIEWER"]).unwrap();
    db.execute(&query("core_admin_insert"), params!["u1", 1]).unwrap();
    let mut statement = db.prepare("SELECT details, team_id FROM alerts ORDER BY id").unwrap();
    let rows: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let wanted = [("Ada", "ops"), ("u2", "ops"), ("Ada", "core-team")]
        .map(|(name, team)| (format!(r#"{{"name":"{name}","team":"{team}"}}"#), team.to_owned()));
    assert_eq!(rows, wanted);
}

#[test]
fn a_plan_that_is_stored_twice_adds_nothing_and_a_delivery_is_taken_once() {
    let db = migrated();
    channel(&db, "chn_1", true);
    let new = r#"[{"id":"msg_1_1","channel":"chn_1","event":"budget","subject":"t","alert":"{}","more":0,"due_at":5},
        {"id":"msg_1_2","channel":"chn_gone","event":"budget","subject":"t","alert":"{}","more":0,"due_at":5}]"#;
    for _ in 0..2 {
        db.execute(&query("deliveries_add"), [new]).unwrap();
    }
    let take = |now: i64| -> Vec<(String, i64)> {
        let sql = query("delivery_take");
        let mut statement = db.prepare(&sql).unwrap();
        let rows = statement
            .query_map(params![now, now + 100], |row| Ok((row.get("id")?, row.get("attempts")?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(take(4), [], "not due");
    assert_eq!(take(5), [("msg_1_1".to_owned(), 1)]);
    assert_eq!(take(6), [], "another run has it");
    assert_eq!(take(105), [("msg_1_1".to_owned(), 2)], "that run died");
    let tried = |attempts: i64| {
        db.execute(&query("delivery_tried"), params!["msg_1_1", "sent", 106, 200, "ok", attempts]).unwrap()
    };
    assert_eq!((tried(1), tried(2)), (0, 1), "a run that was overtaken changes nothing");
    assert_eq!(take(1_000), []);
}

#[test]
fn the_deliveries_of_a_channel_that_fails_wait_and_those_of_others_do_not() {
    let db = migrated();
    for id in ["chn_1", "chn_2"] {
        channel(&db, id, true);
    }
    let delivery = |id: &str, channel: &str, state: &str, next_at: i64| {
        let sql = "INSERT INTO deliveries (id, channel_id, event, subject, alert, state, due_at, next_at) VALUES (?1, ?2, 'budget', '', '{}', ?3, ?4, ?4)";
        db.execute(sql, params![id, channel, state, next_at]).unwrap();
    };
    for (id, channel, state, next_at) in [
        ("due", "chn_1", "waiting", 5),
        ("later", "chn_1", "waiting", 900),
        ("sent", "chn_1", "sent", 5),
        ("other", "chn_2", "waiting", 5),
    ] {
        delivery(id, channel, state, next_at);
    }
    assert_eq!(db.execute(&query("deliveries_wait"), params!["chn_1", 100]).unwrap(), 1);
    let waits: i64 =
        db.query_row("SELECT next_at FROM deliveries WHERE id = 'due'", [], |row| row.get(0)).unwrap();
    assert_eq!(waits, 100);
}

#[test]
fn late_publication_is_reported_once_and_is_over_once_it_has_caught_up() {
    let db = migrated();
    channel(&db, "chn_1", true);
    let insert = "INSERT INTO outbox (id, kind, created_at, next_attempt_at) VALUES (?1, 'routes', ?2, 0)";
    db.execute(insert, params!["a", 100]).unwrap();
    let run = |now: i64| {
        let changed: usize = ["notify_publication", "notify_alerts_over"]
            .iter()
            .map(|name| db.execute(&query(name), params![now, now - 50]).unwrap())
            .sum();
        changed
    };
    assert_eq!([run(149), run(150), run(151)], [0, 1, 0], "each minute would be a row written");
    db.execute("DELETE FROM outbox", []).unwrap();
    assert_eq!([run(152), run(153)], [1, 0]);
    assert_eq!(noted(&db).len(), 1);
}

#[test]
fn a_receiver_is_sealed_again_as_a_credential_is() {
    let db = migrated();
    channel(&db, "chn_1", true);
    channel(&db, "chn_2", true);
    let waiting = || -> Vec<(String, Option<String>)> {
        let sql = query("credentials_under_others");
        let mut statement = db.prepare(&sql).unwrap();
        let row = |row: &rusqlite::Row| Ok((row.get("id")?, row.get("origin")?));
        statement.query_map(params!["fp", 10], row).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(waiting(), [("chn_1".to_owned(), None), ("chn_2".to_owned(), None)]);
    let tried =
        r#"[{"id":"chn_1","was":"v1.a.b","sealed":"v1.c.d"},{"id":"chn_2","was":"v1.a.b","sealed":null}]"#;
    for name in ["channels_lost", "channels_reseal"] {
        assert_eq!(db.execute(&query(name), params![tried, "fp"]).unwrap(), 1, "{name}");
    }
    assert_eq!(waiting(), []);
}
