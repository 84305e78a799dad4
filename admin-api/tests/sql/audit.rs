//! The chain of the audit log: numbers in the order of commits, rounds that die anywhere, retention.

use super::{DAY_MS, migrated, query, sql_files};
use domain::audit::chain::{Entry, EntryHash, Head, read_snapshot};
use rusqlite::{Connection, Row, Transaction, params};
use serde_json::{Value, json};
use std::fs;

const NOW: i64 = 1_790_000_000_000;

fn insert(db: &Connection, id: &str, at: i64) {
    db.execute(
        &query("audit_insert"),
        params![
            id,
            at,
            "u",
            "update-token",
            "done",
            "token",
            "tok_1",
            "core-team",
            None::<&str>,
            r#"{"version": 2}"#,
            None::<&str>,
            "req_1"
        ],
    )
    .unwrap();
}

fn refuse(db: &Connection, at: i64) {
    let none = None::<&str>;
    let values =
        params!["aud_ru-1-", "same", 20, at, "u", "update-token", "token", "tok_1", none, none, "req_1"];
    db.execute(&query("audit_refused"), values).unwrap();
}

fn entry(row: &Row) -> (Entry, Option<String>) {
    let snapshot = |name: &str| row.get::<_, Option<String>>(name).unwrap().map(read_snapshot);
    let entry = Entry {
        seq: u64::try_from(row.get::<_, i64>("seq").unwrap()).unwrap(),
        id: row.get("id").unwrap(),
        at: row.get("at").unwrap(),
        actor: row.get("actor").unwrap(),
        action: row.get("action").unwrap(),
        result: row.get("result").unwrap(),
        entity: row.get("entity").unwrap(),
        entity_id: row.get("entity_id").unwrap(),
        team_id: row.get("team_id").unwrap(),
        before: snapshot("before"),
        after: snapshot("after"),
        client_ip: row.get("client_ip").unwrap(),
        request_id: row.get("request_id").unwrap(),
    };
    (entry, row.get("hash").unwrap())
}

/// A place of the chain in `settings`.
fn place(db: &Connection, key: &str) -> Head {
    let text =
        db.query_row("SELECT value FROM settings WHERE key = ?1", [key], |row| row.get::<_, String>(0));
    text.map_or_else(|_| Head::start(), |text| serde_json::from_str(&text).unwrap())
}

/// Reads what a round of at most `limit` entries would chain, as the cron does: the hashes as JSON, and the new head.
fn read(db: &Connection, limit: u32, now: i64) -> (Vec<Value>, Head) {
    let mut head = place(db, "audit-head");
    let mut statement = db.prepare(&query("audit_unchained")).unwrap();
    let values = params![i64::try_from(head.seq).unwrap(), limit + u32::from(head.seq > 0), 2_000_000];
    let rows =
        statement.query_map(values, |row| Ok((entry(row), row.get::<_, Option<String>>("after")?))).unwrap();
    let mut hashes = vec![];
    for ((entry, hash), after) in rows.map(Result::unwrap) {
        if entry.seq == head.seq {
            assert_eq!(hash, Some(head.hash.to_string()));
        } else if entry.is_settled(now) {
            let previous = head.hash;
            head = entry.head(entry.hash_after(previous));
            let after = after.filter(|_| entry.result == "refused");
            hashes.push(json!({ "seq": head.seq, "previous": previous, "hash": head.hash, "after": after }));
        } else {
            break;
        }
    }
    (hashes, head)
}

/// Writes a round as one transaction. Returns whether it holds.
fn write(db: &mut Connection, (hashes, head): &(Vec<Value>, Head)) -> bool {
    let transaction = db.transaction().unwrap();
    let is_done = write_in(&transaction, hashes, head);
    if is_done {
        transaction.commit().unwrap();
    }
    is_done
}

fn write_in(db: &Transaction, hashes: &[Value], head: &Head) -> bool {
    db.execute(&query("audit_chain"), [json!(hashes).to_string()]).unwrap();
    let head = serde_json::to_string(head).unwrap();
    db.execute(&query("audit_head_put"), params![head, NOW, i64::try_from(hashes.len()).unwrap()]).unwrap();
    db.execute(&query("changed_or_abort"), []).is_ok()
}

fn chain(db: &mut Connection) {
    let round = read(db, 100, NOW);
    assert!(round.0.is_empty() || write(db, &round));
}

/// Follows the chain from the place that retention has noted. Returns the numbers of the chained entries.
fn verified(db: &Connection) -> Vec<u64> {
    let mut before = place(db, "audit-cut");
    let mut statement = db.prepare("SELECT * FROM audit WHERE hash IS NOT NULL ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok(entry(row))).unwrap();
    let mut numbers = vec![];
    for (entry, hash) in rows.map(Result::unwrap) {
        let own = entry.hash_after(before.hash);
        assert_eq!((entry.seq, hash), (before.seq + 1, Some(own.to_string())), "{}", entry.id);
        before = entry.head(own);
        numbers.push(entry.seq);
    }
    assert_eq!(before, place(db, "audit-head"));
    numbers
}

fn number_of(db: &Connection, id: &str) -> i64 {
    db.query_row("SELECT seq FROM audit WHERE id = ?1", [id], |row| row.get(0)).unwrap()
}

#[test]
fn an_entry_that_is_committed_late_is_chained_behind_those_before_it() {
    let mut db = migrated();
    insert(&db, "aud_m", NOW);
    insert(&db, "aud_x", NOW);
    chain(&mut db);
    insert(&db, "aud_a", NOW - 90_000);
    insert(&db, "aud_b", NOW);
    chain(&mut db);
    assert_eq!(verified(&db), [1, 2, 3, 4]);
    assert_eq!(["aud_m", "aud_x", "aud_a", "aud_b"].map(|id| number_of(&db, id)), [1, 2, 3, 4]);
}

#[test]
fn entries_of_before_the_migration_are_kept_and_chained_in_rounds() {
    let mut db = Connection::open_in_memory().unwrap();
    let files = sql_files("../d1-migrations");
    let (before, since): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| file.file_name().unwrap().to_str().unwrap() < "0025");
    let apply = |db: &Connection, file| db.execute_batch(&fs::read_to_string(file).unwrap()).unwrap();
    for file in before {
        apply(&db, file);
    }
    for n in [7, 3, 9, 1, 5, 8, 2, 6, 4, 10] {
        insert(&db, &format!("aud_{n:02}"), NOW - DAY_MS + n);
    }
    for file in since {
        apply(&db, file);
    }
    for chained in [4, 8, 10, 10] {
        let round = read(&db, 4, NOW);
        assert!(round.0.is_empty() || write(&mut db, &round));
        assert_eq!(verified(&db), (1..=chained).collect::<Vec<_>>());
    }
    assert_eq!(number_of(&db, "aud_07"), 7, "in the order of their times");
}

#[test]
fn a_round_ends_when_its_snapshots_are_large_and_has_an_entry_of_any_size() {
    let mut db = migrated();
    for (n, size) in [900_000, 900_000, 900_000, 900_000, 1_900_000, 1_900_000, 10].into_iter().enumerate() {
        insert(&db, &format!("aud_{n}"), NOW);
        let after = json!({ "note": "x".repeat(size) }).to_string();
        db.execute("UPDATE audit SET after = ?1 WHERE id = ?2", params![after, format!("aud_{n}")]).unwrap();
    }
    let mut rounds = vec![];
    loop {
        let round = read(&db, 100, NOW);
        if round.0.is_empty() {
            break;
        }
        rounds.push(round.0.len());
        assert!(write(&mut db, &round));
    }
    assert_eq!((rounds, verified(&db)), (vec![3, 2, 2], (1..=7).collect()));
}

#[test]
fn the_migration_reads_the_log_in_its_order_and_does_not_sort_it() {
    let db = Connection::open_in_memory().unwrap();
    for file in sql_files("../d1-migrations") {
        let sql = fs::read_to_string(&file).unwrap();
        let Some((before, rest)) = sql.split_once("INSERT INTO audit ") else {
            db.execute_batch(&sql).unwrap();
            continue;
        };
        db.execute_batch(before).unwrap();
        let (insert, _) = rest.split_once(';').unwrap();
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN INSERT INTO audit {insert}")).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let plan = lines.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        assert!(plan.contains("USING INDEX audit_by_time") && !plan.contains("TEMP B-TREE"), "{plan}");
        return;
    }
    panic!("no migration fills the audit log");
}

#[test]
fn a_round_that_dies_or_is_overtaken_leaves_nothing_and_the_next_one_continues() {
    let mut db = migrated();
    for n in 1..=5 {
        insert(&db, &format!("aud_{n}"), NOW);
    }
    let round = read(&db, 3, NOW);
    {
        let transaction = db.transaction().unwrap();
        assert!(write_in(&transaction, &round.0, &round.1));
        // The Worker dies before the commit.
    }
    assert_eq!(verified(&db), [0; 0]);
    let same = read(&db, 3, NOW);
    assert!(write(&mut db, &round));
    assert!(!write(&mut db, &same), "another run has chained these");
    let overlapping = (read(&db, 3, NOW).0.into_iter().chain(round.0).collect(), Head::start());
    assert!(!write(&mut db, &overlapping));
    assert_eq!(verified(&db), [1, 2, 3]);
    chain(&mut db);
    assert_eq!(verified(&db), [1, 2, 3, 4, 5]);
}

#[test]
fn a_refused_attempt_is_chained_once_its_minute_is_over_and_repeats_are_never_lost() {
    let mut db = migrated();
    let minute = NOW - NOW % 60_000 - 60_000;
    insert(&db, "aud_1", minute);
    refuse(&db, minute + 1);
    insert(&db, "aud_2", minute + 2);
    assert_eq!(read(&db, 9, minute + 59_999).0.len(), 1, "the attempt may still be repeated");
    let overtaken = read(&db, 9, minute + 60_000);
    assert_eq!(overtaken.0.len(), 3);
    refuse(&db, minute + 59_000);
    assert!(!write(&mut db, &overtaken), "it was repeated since");
    let round = read(&db, 9, minute + 60_000);
    assert!(write(&mut db, &round));
    // Two more come late.
    refuse(&db, minute + 59_500);
    refuse(&db, minute + 59_700);
    chain(&mut db);
    refuse(&db, minute + 59_900);
    chain(&mut db);
    assert_eq!(verified(&db), [1, 2, 3, 4, 5]);
    let mut statement =
        db.prepare("SELECT id, after ->> 'times' FROM audit WHERE result = 'refused' ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(String, Option<u32>)> = rows.map(Result::unwrap).collect();
    let wanted = [("aud_ru-1-same", Some(2)), ("aud_ru-1-same.1", Some(2)), ("aud_ru-1-same.2", None)];
    assert_eq!(rows, wanted.map(|(id, times)| (id.to_owned(), times)));
}

#[test]
fn retention_cuts_the_front_and_the_rest_is_still_verified() {
    let mut db = migrated();
    let old = NOW - 400 * DAY_MS;
    for (id, at) in [("1", old - 5), ("2", old - 4), ("3", old + 5), ("4", old - 3), ("5", old + 6)] {
        insert(&db, id, at);
    }
    let purge = |db: &Connection, before: i64, limit: u32| {
        db.execute(&query("audit_cut"), params![before, limit, NOW]).unwrap();
        db.execute(&query("audit_purge"), []).unwrap()
    };
    assert_eq!(purge(&db, old, 9), 0, "nothing leaves before it is chained");
    chain(&mut db);
    assert_eq!(purge(&db, old, 1), 1);
    assert_eq!((verified(&db), place(&db, "audit-cut").seq), (vec![2, 3, 4, 5], 1));
    assert_eq!(purge(&db, old, 9), 1, "a late entry behind a newer one waits for that");
    assert_eq!(verified(&db), [3, 4, 5]);
    assert_eq!(purge(&db, NOW, 9), 2);
    assert_eq!(verified(&db), [5], "the head stays, so that numbers go on behind it");
    assert_eq!(purge(&db, NOW, 9), 0);
    insert(&db, "6", NOW);
    chain(&mut db);
    assert_eq!((verified(&db), place(&db, "audit-cut").seq), (vec![5, 6], 4));
}

#[test]
fn the_schema_refuses_to_change_a_chained_entry_or_to_delete_one_behind_the_cut() {
    let mut db = migrated();
    for id in ["1", "2", "3"] {
        insert(&db, id, NOW);
    }
    db.execute("UPDATE audit SET after = NULL WHERE id = '1'", []).unwrap();
    chain(&mut db);
    for (sql, why) in [
        ("UPDATE audit SET actor = 'x' WHERE id = '2'", "audit-is-chained"),
        ("UPDATE audit SET hash = NULL WHERE id = '2'", "audit-is-chained"),
        ("DELETE FROM audit WHERE id = '1'", "audit-is-cut-at-the-front"),
    ] {
        let error = db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    }
    insert(&db, "4", NOW);
    let unchained = db.execute("DELETE FROM audit WHERE id = '4'", []).unwrap_err().to_string();
    assert!(unchained.contains("audit-is-cut-at-the-front"), "{unchained}");
    assert_eq!(verified(&db), [1, 2, 3]);
    assert_ne!(place(&db, "audit-head").hash, EntryHash::GENESIS);
}
