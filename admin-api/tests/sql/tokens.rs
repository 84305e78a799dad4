//! Changes of tokens, teams and credentials that lose a race, or that a rule of the schema refuses.

use super::{migrated, query, with_token};
use rusqlite::params;

#[test]
fn a_write_that_loses_a_race_leaves_no_trace() {
    let mut db = migrated();
    with_token(&db);
    for (name, request) in [("first", "r1"), ("second", "r2")] {
        let batch = db.transaction().unwrap();
        batch
            .execute(
                &query("token_update"),
                params!["tok_1", name, None::<&str>, r#"["*"]"#, "[]", None::<&str>, 0, 0, None::<i64>, 5, 1],
            )
            .unwrap();
        batch.execute(&query("outbox_insert"), params![request, "token", "tok_1", 5, 5]).unwrap();
        batch
            .execute(
                &query("audit_insert_if_changed"),
                params![
                    request,
                    5,
                    "u",
                    "a",
                    "done",
                    "token",
                    "tok_1",
                    None::<&str>,
                    None::<&str>,
                    None::<&str>,
                    None::<&str>,
                    request
                ],
            )
            .unwrap();
        batch.commit().unwrap();
    }
    let name: String = db.query_row("SELECT name FROM tokens", [], |row| row.get(0)).unwrap();
    let rows = |table: &str| -> u32 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((name.as_str(), rows("outbox"), rows("audit")), ("first", 1, 1));
}

#[test]
fn a_second_rotation_does_not_lengthen_the_first_ones_grace() {
    let db = migrated();
    with_token(&db);
    let hash = |c: &str| c.repeat(64);
    let rotate = |c: &str, at: i64, others_end: i64| {
        db.execute(&query("token_touch"), params!["tok_1", at, None::<i64>]).unwrap();
        db.execute(&query("secret_insert"), params![hash(c), "tok_1", "s", "e", at]).unwrap();
        db.execute(&query("secrets_end"), params!["tok_1", others_end, hash(c)]).unwrap();
    };
    rotate("a", 1, 50);
    rotate("b", 2, 100);
    rotate("c", 3, 500);
    let end = |c: &str| -> i64 {
        db.query_row("SELECT ends_at FROM token_secrets WHERE hash = ?1", [hash(c)], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((end("a"), end("b")), (100, 500));
}

/// A rotation that loses against a revocation leaves nothing behind: no secret, no expiry, no kept response.
#[test]
fn a_rotation_of_a_revoked_token_changes_nothing() {
    let db = migrated();
    with_token(&db);
    db.execute(&query("token_revoke"), params!["tok_1", 5, None::<i64>]).unwrap();
    let hash = "d".repeat(64);
    db.execute(&query("token_touch"), params!["tok_1", 6, None::<i64>]).unwrap();
    db.execute(&query("secret_insert"), params![hash, "tok_1", "s", "e", 6]).unwrap();
    db.execute(&query("secrets_end"), params!["tok_1", 7, hash]).unwrap();
    db.execute(&query("idempotency_insert"), params!["u", "e", "k", "d", "tok_1", 6, hash]).unwrap();
    for table in ["token_secrets", "idempotency_keys"] {
        let rows: u32 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn an_overtaken_end_of_old_secrets_ends_none() {
    let db = migrated();
    with_token(&db);
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    for hash in [&old, &new] {
        db.execute(&query("token_touch"), params!["tok_1", 1, None::<i64>]).unwrap();
        db.execute(&query("secret_insert"), params![hash, "tok_1", "s", "e", 1]).unwrap();
    }
    let end = |version: Option<i64>| -> Option<i64> {
        db.execute(&query("token_touch"), params!["tok_1", 2, version]).unwrap();
        db.execute(&query("secrets_end"), params!["tok_1", 2, new]).unwrap();
        db.query_row("SELECT ends_at FROM token_secrets WHERE hash = ?1", [&old], |row| row.get(0)).unwrap()
    };
    assert_eq!(end(Some(-1)), None);
    assert_eq!(end(None), Some(2));
}

#[test]
fn triggers_keep_the_rules_of_teams() {
    let db = migrated();
    let refused = |sql: &str, why: &str| {
        let error = db.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(why), "{sql}: {error}");
    };
    db.execute_batch(
        "INSERT INTO teams (id, name, created_at, updated_at) VALUES ('a', 'A', 1, 1), ('b', 'B', 1, 1);
         INSERT INTO users (id, created_at, updated_at) VALUES ('u', 1, 1), ('v', 1, 1);
         INSERT INTO memberships VALUES ('u', 'a', 'ADMIN', 1);",
    )
    .unwrap();
    refused("DELETE FROM memberships WHERE user_id = 'u'", "last-admin");
    refused("UPDATE memberships SET role = 'VIEWER' WHERE user_id = 'u'", "last-admin");
    refused("DELETE FROM teams WHERE id = 'b'", "teams-are-kept");
    refused("UPDATE teams SET deleted_at = 1 WHERE id = 'core-team'", "team-not-empty");
    refused("UPDATE teams SET deleted_at = 1 WHERE id = 'a'", "team-not-empty");
    db.execute_batch("UPDATE teams SET deleted_at = 1 WHERE id = 'b'").unwrap();
    refused("INSERT INTO memberships VALUES ('u', 'b', 'VIEWER', 1)", "team-deleted");
    refused(
        "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES ('t', 't', 'b', '[]', 1, 1)",
        "team-deleted",
    );
    // A deleted person is not a member.
    db.execute_batch(
        "UPDATE users SET deleted_at = 1 WHERE id = 'u'; DELETE FROM memberships WHERE user_id = 'u';",
    )
    .unwrap();
    // A deleted person does not count as the other ADMIN either.
    db.execute_batch(
        "INSERT INTO memberships VALUES ('v', 'a', 'ADMIN', 1);
         INSERT INTO memberships VALUES ('u', 'a', 'ADMIN', 1);",
    )
    .unwrap();
    refused("DELETE FROM memberships WHERE user_id = 'v'", "last-admin");
}

#[test]
fn a_credential_that_no_key_opens_is_not_tried_again() {
    let db = migrated();
    db.execute_batch(
        "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at)
         SELECT value, 'r', '/api/' || value, 'https://x.example', 0, 0 FROM json_each('[\"a\",\"b\",\"c\",\"d\",\"e\"]');
         INSERT INTO credentials (route_id, kind, origin, sealed, sealed_under, updated_by, updated_at)
         SELECT value ->> 0, 'bearer', 'https://x.example', 'v1.s.s', value ->> 1, 'u', 0
         FROM json_each('[[\"a\",\"!fp\"],[\"b\",\"fp\"],[\"c\",\"\"],[\"d\",\"aa\"],[\"e\",\"!zz\"]]');",
    )
    .unwrap();
    let left = |limit: u32| -> Vec<String> {
        let mut statement = db.prepare(&query("credentials_under_others")).unwrap();
        let rows = statement.query_map(params!["fp", limit], |row| row.get("id")).unwrap();
        let mut ids: Vec<String> = rows.map(Result::unwrap).collect();
        ids.sort();
        ids
    };
    assert_eq!(left(10), ["c", "d", "e"]);
    let count = || -> (u32, u32) {
        db.query_row(&query("credentials_seals"), params!["fp"], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    assert_eq!(count(), (3, 1));
    let lost = r#"[{"id":"c","was":"v1.s.s","sealed":null},{"id":"d","was":"another","sealed":null}]"#;
    assert_eq!(
        db.execute(&query("credentials_lost"), params![lost, "fp"]).unwrap(),
        1,
        "another was just set"
    );
    assert_eq!((left(10), count()), (vec!["d".to_owned(), "e".to_owned()], (2, 2)));
}
