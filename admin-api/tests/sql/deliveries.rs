//! Deliveries: made and taken once, tried in turn; channels that fail.

use super::alerts::channel;
use super::{migrated, query};
use rusqlite::{Connection, params};

#[test]
fn a_plan_that_is_stored_twice_adds_nothing_and_a_delivery_is_taken_once() {
    let db = migrated();
    channel(&db, "chn_1", true);
    let new = r#"[{"id":"msg_1_1","channel":"chn_1","event":"budget","subject":"t","alert":"{}","more":0,"due_at":5},
        {"id":"msg_1_2","channel":"chn_gone","event":"budget","subject":"t","alert":"{}","more":0,"due_at":5}]"#;
    for _ in 0..2 {
        db.execute(&query("deliveries_add"), [new]).unwrap();
    }
    let take = |now: i64| take(&db, now);
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

/// Takes what is due, each with the number of the try.
fn take(db: &Connection, now: i64) -> Vec<(String, i64)> {
    let sql = query("delivery_take");
    let mut statement = db.prepare(&sql).unwrap();
    let row = |row: &rusqlite::Row| Ok((row.get("id")?, row.get("attempts")?));
    statement.query_map(params![now, now + 100, 5], row).unwrap().map(Result::unwrap).collect()
}

fn delivery(db: &Connection, id: &str, channel: &str, state: &str, next_at: i64) {
    let sql = "INSERT INTO deliveries (id, channel_id, event, subject, alert, state, due_at, next_at) VALUES (?1, ?2, 'budget', '', '{}', ?3, ?4, ?4)";
    db.execute(sql, params![id, channel, state, next_at]).unwrap();
}

#[test]
fn the_deliveries_of_a_channel_that_fails_wait_and_those_of_others_do_not() {
    let db = migrated();
    for id in ["chn_1", "chn_2"] {
        channel(&db, id, true);
    }
    for (id, channel) in [("a", "chn_1"), ("b", "chn_1"), ("c", "chn_2")] {
        delivery(&db, id, channel, "waiting", 5);
    }
    db.execute(&query("channel_failed"), params!["chn_1", 6, 100]).unwrap();
    assert_eq!(take(&db, 7), [("c".to_owned(), 1)]);
    assert_eq!(take(&db, 99), []);
    assert_eq!(take(&db, 100), [("a".to_owned(), 1)]);
    db.execute(&query("channel_failed"), params!["chn_1", 101, 900]).unwrap();
    let since = || -> Option<i64> {
        db.query_row("SELECT failing_since FROM channels WHERE id = 'chn_1'", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(since(), Some(6));
    db.execute(&query("channel_sent"), ["chn_1"]).unwrap();
    assert_eq!((since(), take(&db, 102)), (None, vec![("b".to_owned(), 1)]), "it works, so nothing waits");
}

#[test]
fn a_delivery_that_its_receiver_cannot_take_holds_up_no_other_for_longer_than_the_first_pause() {
    let db = migrated();
    channel(&db, "chn_1", true);
    for id in ["a_poison", "b", "c"] {
        delivery(&db, id, "chn_1", "waiting", 0);
    }
    let mut sent = vec![];
    for now in 0..100 {
        while let Some((id, attempts)) = take(&db, now).pop() {
            let fails = id == "a_poison";
            let (state, next_at) = if fails { ("waiting", now + (1 << attempts)) } else { ("sent", now) };
            db.execute(&query("delivery_tried"), params![id, state, next_at, 200, "", attempts]).unwrap();
            if fails {
                db.execute(&query("channel_failed"), params!["chn_1", now, now + 1]).unwrap();
                // It comes while the other is under way.
                delivery(&db, &format!("n{now:02}"), "chn_1", "waiting", now);
            } else {
                db.execute(&query("channel_sent"), ["chn_1"]).unwrap();
                sent.push((id, now));
            }
        }
    }
    let at = |id: &str, now: i64| (id.to_owned(), now);
    let wanted = [at("b", 1), at("c", 1), at("n00", 1), at("n02", 3), at("n06", 7), at("n14", 15)];
    assert_eq!(sent[..6], wanted);
}

#[test]
fn deliveries_of_several_channels_are_taken_at_once_those_of_channels_that_work_first() {
    let db = migrated();
    for n in 1..=8 {
        let id = format!("chn_{n}");
        channel(&db, &id, true);
        if n <= 6 {
            db.execute(&query("channel_failed"), params![id, 1, 2]).unwrap();
        }
        for one in ["x", "y"] {
            delivery(&db, &format!("{n}{one}"), &id, "waiting", i64::from(n));
        }
    }
    let taken = |now| {
        let mut ids: Vec<String> = take(&db, now).into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(taken(50), ["1x", "2x", "3x", "7x", "8x"]);
    assert_eq!(taken(51), ["1y", "2y", "3y", "7y", "8y"]);
    assert_eq!(taken(52), ["4x", "5x", "6x"]);
}

#[test]
fn an_untried_delivery_is_known_however_long_it_has_waited() {
    let db = migrated();
    channel(&db, "chn_1", true);
    for (id, state, due_at) in
        [("fresh", "sent", 90), ("behind", "waiting", 5), ("tried", "waiting", 6), ("past", "sent", 7)]
    {
        delivery(&db, id, "chn_1", state, due_at);
    }
    db.execute("UPDATE deliveries SET attempts = 1 WHERE id = 'tried'", []).unwrap();
    let sql = query("deliveries_recent");
    let known = |column: usize, sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        let mut texts: Vec<String> =
            statement.query_map([50], |row| row.get(column)).unwrap().map(Result::unwrap).collect();
        texts.sort_unstable();
        texts
    };
    assert_eq!(known(0, &sql), ["behind", "fresh"]);
    let plan = known(3, &format!("EXPLAIN QUERY PLAN {sql}")).join(" ");
    assert!(plan.contains("deliveries_by_time") && plan.contains("deliveries_due"), "{plan}");
}

#[test]
fn a_test_of_a_channel_that_is_gone_is_not_stored_and_one_that_arrived_says_that_the_channel_works() {
    let db = migrated();
    channel(&db, "chn_1", true);
    db.execute(&query("channel_failed"), params!["chn_1", 7, 8]).unwrap();
    let store = |channel: &str| {
        db.execute(&query("delivery_test"), params![channel, channel, "{}", "sent", 9, 200, "ok"]).unwrap()
    };
    assert_eq!((store("chn_gone"), store("chn_1")), (0, 1));
    assert_eq!(db.execute(&query("channel_sent"), ["chn_1"]).unwrap(), 1);
}

#[test]
fn a_channel_that_is_enabled_again_fails_no_longer() {
    let db = migrated();
    let failing_after = |before: bool, after: bool, kind: Option<&str>| -> Option<i64> {
        db.execute("DELETE FROM channels", []).unwrap();
        channel(&db, "chn_1", before);
        db.execute(&query("channel_failed"), params!["chn_1", 7, 8]).unwrap();
        let none: Option<&str> = None;
        let values = params!["chn_1", "n", kind, none, none, none, r#"["budget"]"#, "[]", "en", after, 9, 1];
        assert_eq!(db.execute(&query("channel_update"), values).unwrap(), 1);
        db.query_row("SELECT failing_since FROM channels", [], |row| row.get(0)).unwrap()
    };
    assert_eq!([failing_after(true, true, None), failing_after(true, false, None)], [Some(7), Some(7)]);
    assert_eq!([failing_after(false, true, None), failing_after(true, true, Some("slack"))], [None, None]);
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
