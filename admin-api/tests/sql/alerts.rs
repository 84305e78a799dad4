//! Alerts that triggers note, each once.

use super::{DAY_MS, HOUR_MS, migrated, query, sql_files, with_token};
use domain::alert::event::Event;
use rusqlite::{Connection, params};
use std::fs;

pub fn channel(db: &Connection, id: &str, enabled: bool) {
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
fn a_limit_that_was_raised_is_noted_again_when_its_shares_are_used() {
    let db = migrated();
    channel(&db, "chn_1", true);
    let used = |now: i64, used: i64, limit: i64, resets_at: i64| {
        let step = [50, 80, 100].into_iter().rfind(|step| used * 100 / limit >= *step).unwrap();
        let json = format!(
            r#"[{{"subject":"tok_1 calls-per-day","team":"core-team","details":{{"name":"n","token":"tok_1","step":{step},"used":{used},"limit":{limit},"resets_at":{resets_at}}}}}]"#
        );
        db.execute(&query("notify_budgets"), params![now, json]).unwrap();
    };
    used(1, 8, 10, 100);
    used(2, 8, 16, 100);
    used(3, 13, 16, 100);
    used(4, 13, 16, 100);
    used(5, 13, 13, 100);
    let told = |db: &Connection| -> Vec<(i64, Option<i64>)> {
        noted(db).into_iter().map(|(_, _, _, before, step)| (before, step)).collect()
    };
    let first = [(0, Some(80)), (50, Some(50)), (50, Some(80)), (80, Some(100))];
    assert_eq!(told(&db), first, "a channel that asks for 80 % hears of it twice, of 50 % not after 80 %");
    used(6, 13, 26, 100);
    used(101, 21, 26, 200);
    assert_eq!(told(&db)[4..], [(50, Some(50)), (0, Some(80))], "a counter that has begun again had no step");
    used(201, 80, 100, 300);
    used(202, 95, 170, 300);
    assert_eq!(told(&db)[6..], [(0, Some(80)), (55, Some(50))], "what has been used since the step counts");
}

#[test]
fn a_token_that_was_extended_is_noted_again_before_its_new_end() {
    let db = migrated();
    with_token(&db);
    channel(&db, "chn_1", true);
    let look = |now: i64, end: i64| {
        db.execute("UPDATE tokens SET expires_at = ?1", [end]).unwrap();
        db.execute(&query("notify_expiring"), params![now, now + 14 * DAY_MS, "[14,3,1]"]).unwrap();
    };
    let soon = 20 * HOUR_MS;
    look(1, 1 + soon);
    look(2, 2 + soon + 10 * DAY_MS);
    for hour in 1..=10 * 24 {
        look(2 + hour * HOUR_MS, 2 + soon + 10 * DAY_MS);
    }
    db.execute("UPDATE tokens SET name = 'renamed'", []).unwrap();
    look(3 + 10 * DAY_MS, 2 + soon + 10 * DAY_MS);
    let steps: Vec<_> = noted(&db).into_iter().filter_map(|(_, _, _, _, step)| step).collect();
    assert_eq!(steps, [1, 14, 3, 1]);
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
fn places_are_forgotten_after_their_time_also_those_of_tokens_that_are_not_used() {
    let db = migrated();
    for (token, seen_at) in [("tok_gone", 5), ("tok_1", 5), ("tok_1", 60), ("tok_2", 5)] {
        let sql = "INSERT INTO token_places VALUES (?1, 'country:' || ?2, 1, ?2)";
        db.execute(sql, params![token, seen_at]).unwrap();
    }
    let purge = |limit: i64| db.execute(&query("places_purge"), params![50, limit]).unwrap();
    assert_eq!([purge(2), purge(2), purge(2)], [2, 1, 0]);
    let left: String = db.query_row("SELECT token_id FROM token_places", [], |row| row.get(0)).unwrap();
    assert_eq!(left, "tok_1");
}

#[test]
fn a_teams_channel_loses_the_events_of_which_it_never_heard() {
    let db = Connection::open_in_memory().unwrap();
    let files = sql_files("../d1-migrations");
    let last = |path: &std::path::PathBuf| path.to_string_lossy().contains("0033_");
    let at = files.iter().position(last).unwrap();
    let migrate = |path: &std::path::PathBuf| db.execute_batch(&fs::read_to_string(path).unwrap()).unwrap();
    files[..at].iter().for_each(migrate);
    for (id, team) in [("chn_1", None), ("chn_2", Some("core-team"))] {
        channel(&db, id, true);
        let all: Vec<&str> = Event::choices().map(Event::as_str).collect();
        db.execute(
            "UPDATE channels SET team_id = ?2, events = ?3 WHERE id = ?1",
            params![id, team, serde_json::to_string(&all).unwrap()],
        )
        .unwrap();
    }
    files[at..].iter().for_each(migrate);
    let events = |id: &str| -> Vec<String> {
        let text: String =
            db.query_row("SELECT events FROM channels WHERE id = ?1", [id], |row| row.get(0)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let of_teams = |is_teams: bool| -> Vec<&str> {
        Event::choices().filter(|event| is_teams || event.is_of_teams()).map(Event::as_str).collect()
    };
    assert_eq!(events("chn_1"), of_teams(true));
    assert_eq!(events("chn_2"), of_teams(false));
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
