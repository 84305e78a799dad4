//! Statements about people who join and leave, and about rows that anybody signed in can write.

use super::{migrated, plan, query};
use rusqlite::{Connection, Params, params};

/// Runs a statement. Returns the number of rows that it changed.
pub fn run(db: &Connection, name: &str, params: impl Params) -> usize {
    db.execute(&query(name), params).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn count(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

pub fn text(db: &Connection, sql: &str) -> Option<String> {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Makes two teams, an inviter, an invited person, and an ADMIN of each team who stays.
pub fn with_people() -> Connection {
    let db = migrated();
    db.execute_batch(
        "INSERT INTO teams (id, name, created_at, updated_at) VALUES ('a', 'A', 1, 1), ('b', 'B', 1, 1);
         INSERT INTO users (id, email, email_verified, created_at, updated_at) VALUES
            ('inviter', 'inviter@example.test', 1, 1, 1), ('invited', 'invited@example.test', 1, 1, 1), ('stays', NULL, 0, 1, 1);
         INSERT INTO memberships VALUES ('stays', 'core-team', 'ADMIN', 1), ('stays', 'a', 'ADMIN', 1), ('stays', 'b', 'ADMIN', 1);",
    )
    .unwrap();
    db
}

fn token(db: &Connection, id: &str, team: &str, by: &str, expires_at: Option<i64>) {
    let none = None::<&str>;
    run(db, "token_insert", params![id, id, team, none, r#"["*"]"#, "[]", none, 0, 0, expires_at, by, 1]);
}

fn unattended(db: &Connection) -> Option<String> {
    text(
        db,
        "SELECT group_concat(subject || ' ' || team_id, ', ') FROM (SELECT * FROM notifications
            WHERE kind = 'token-unattended' AND resolved_at IS NULL ORDER BY subject)",
    )
}

#[test]
fn a_token_whose_maker_may_no_longer_change_it_is_notified_until_attended_to() {
    let db = with_people();
    for (id, team, end) in [
        ("a1", "a", None),
        ("a2", "a", Some(9)),
        ("b1", "b", None),
        ("old", "a", Some(4)),
        ("off", "a", None),
    ] {
        token(&db, id, team, "inviter", end);
    }
    token(&db, "others", "a", "stays", None);
    run(&db, "token_revoke", params!["off", 2, None::<i64>]);
    run(&db, "membership_insert", params!["inviter", "b", "DEVELOPER", 1]);
    // DEVELOPER to VIEWER in one team.
    run(&db, "membership_insert", params!["inviter", "a", "VIEWER", 1]);
    let open = |teams: Option<&str>, everywhere: bool, at: i64| {
        run(&db, "unattended_open", params!["inviter", at, teams, everywhere]);
    };
    open(Some(r#"["a"]"#), false, 5);
    assert_eq!(unattended(&db).as_deref(), Some("a1 a, a2 a"));
    let details = text(&db, "SELECT details FROM notifications WHERE subject = 'a1'");
    assert_eq!(details.as_deref(), Some(r#"{"name":"a1","person":"inviter@example.test"}"#));

    // Somebody changes one token; the other expires.
    run(&db, "token_touch", params!["a1", 6, None::<i64>]);
    run(&db, "unattended_changed", params!["a1", 6]);
    run(&db, "unattended_changed", params!["a2", 6]);
    assert_eq!(unattended(&db).as_deref(), Some("a2 a"), "what lost a race resolves nothing");
    run(&db, "unattended_resolve", params![10]);
    assert_eq!(unattended(&db), None);

    // Leaving the other team opens notifications for the tokens made there, and for none that was attended to.
    run(&db, "membership_update", params!["inviter", "b", "DEVELOPER", "VIEWER"]);
    open(Some(r#"["b"]"#), false, 11);
    assert_eq!(unattended(&db).as_deref(), Some("b1 b"));
    run(&db, "membership_update", params!["inviter", "b", "VIEWER", "MANAGER"]);
    run(&db, "unattended_resolve", params![12]);
    assert_eq!(unattended(&db), None, "the maker may change it again");

    // The person is deleted: notifications are opened before the memberships are removed.
    run(&db, "person_delete", params!["inviter", 13]);
    open(None, false, 13);
    run(&db, "memberships_delete", params!["inviter"]);
    assert_eq!(unattended(&db).as_deref(), Some("b1 b"));
    open(None, false, 14);
    run(&db, "unattended_resolve", params![14]);
    assert_eq!(unattended(&db).as_deref(), Some("b1 b"), "a second message changes nothing");
}

#[test]
fn the_tokens_of_a_former_platform_admin_are_notified_in_every_team() {
    let db = with_people();
    for (id, team) in [("a1", "a"), ("b1", "b")] {
        token(&db, id, team, "inviter", None);
    }
    run(&db, "membership_insert", params!["inviter", "b", "DEVELOPER", 1]);
    run(&db, "membership_insert", params!["inviter", "core-team", "VIEWER", 1]);
    run(&db, "unattended_open", params!["inviter", 5, "[]", true]);
    assert_eq!(unattended(&db).as_deref(), Some("a1 a"));
}

/// Disables the token by one call after the other: (actor, may enable it again anyway). Returns the person who has
/// disabled it in the end, and the number of rows that each call changed.
fn disabled_by(calls: &[(&str, bool)]) -> (Option<String>, Vec<usize>) {
    let db = with_people();
    token(&db, "t", "a", "dev", None);
    let none = None::<i64>;
    let rows = calls
        .iter()
        .map(|(actor, over)| run(&db, "token_disable", params!["t", 5, none, actor, over]))
        .collect();
    (text(&db, "SELECT disabled_by FROM tokens WHERE id = 't'"), rows)
}

#[test]
fn a_managers_disable_prevails_before_and_after_others() {
    let by = |name: &str| Some(name.to_owned());
    assert_eq!(disabled_by(&[("dev", false), ("manager", true)]), (by("manager"), vec![1, 1]));
    assert_eq!(disabled_by(&[("manager", true), ("dev", false)]), (by("manager"), vec![1, 0]));
    assert_eq!(disabled_by(&[("manager", true), ("admin", true)]), (by("admin"), vec![1, 1]));
    assert_eq!(disabled_by(&[("manager", true), ("manager", true)]), (by("manager"), vec![1, 0]));
}

#[test]
fn an_enable_requires_the_same_disabler_as_when_it_was_allowed() {
    let db = with_people();
    token(&db, "t", "a", "dev", None);
    let none = None::<i64>;
    run(&db, "token_disable", params!["t", 5, none, "dev", false]);
    run(&db, "token_disable", params!["t", 6, none, "manager", true]);
    assert_eq!(run(&db, "token_enable", params!["t", 7, none, "dev"]), 0);
    assert_eq!(run(&db, "token_enable", params!["t", 7, none, None::<&str>]), 0);
    assert_eq!(run(&db, "token_enable", params!["t", 7, none, "manager"]), 1);
    // The token was disabled before the person was recorded.
    db.execute_batch("UPDATE tokens SET disabled_at = 1, disabled_by = NULL").unwrap();
    assert_eq!(run(&db, "token_enable", params!["t", 8, none, None::<&str>]), 1);
}

fn refuse(db: &Connection, head: &str, what: &str, at: i64) {
    let none = None::<&str>;
    run(db, "audit_refused", params![head, what, 20, at, "u", "a", "token", what, "ops", none, "req"]);
}

#[test]
fn repeated_refusals_are_one_row_and_one_person_can_cause_few() {
    let db = migrated();
    for at in 1..=30 {
        refuse(&db, "aud_ru-1-", "same", at);
    }
    let after = text(&db, "SELECT after FROM audit");
    assert_eq!(
        (count(&db, "SELECT count(*) FROM audit"), after.as_deref()),
        (1, Some(r#"{"times":30,"last_at":30}"#))
    );
    for n in 0..500 {
        refuse(&db, "aud_ru-1-", &format!("{n:032}"), n);
    }
    assert_eq!(count(&db, "SELECT count(*) FROM audit"), 21);
    let others = text(&db, "SELECT after ->> 'times' || '' FROM audit WHERE id = 'aud_ru-1-others'");
    assert_eq!(others.as_deref(), Some("481"));
    refuse(&db, "aud_ru-2-", "same", 60);
    assert_eq!(count(&db, "SELECT count(*) FROM audit"), 22, "the next minute is another");
}

/// D1 bills an entry in every index. Each of the four indexes serves a list, and a fifth holds the ids.
#[test]
fn an_audit_entry_writes_one_row_an_index_and_a_repeat_or_its_hash_one_row() {
    let db = migrated();
    let indexes = count(
        &db,
        "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'audit' AND sql IS NOT NULL",
    );
    let mut used = std::collections::BTreeSet::new();
    for (name, index) in [
        ("audit_list", "audit_by_time"),
        ("audit_by_entity", "audit_by_entity"),
        ("audit_by_actor", "audit_by_actor"),
        ("audit_by_team", "audit_by_team"),
        ("audit_of_teams", "audit_by_team"),
    ] {
        let plan = plan(&db, name);
        assert!(plan.contains(&format!("USING INDEX {index} (")), "{name}:\n{plan}");
        assert!(!plan.contains("SCAN a\n") && !plan.contains("SCAN audit\n"), "{name}:\n{plan}");
        used.insert(index);
    }
    assert_eq!(i64::try_from(used.len()), Ok(indexes));
    let plan = plan(&db, "audit_refused");
    assert!(plan.contains("(id>? AND id<?)"), "{plan}");
    // A repeat changes only `after`, and the cron sets `hash`. No index contains these.
    let columns = count(
        &db,
        "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'audit' AND (sql LIKE '%after%' OR sql LIKE '%hash%')",
    );
    assert_eq!(columns, 0);
}

#[test]
fn a_members_lists_read_only_their_teams_tokens_in_every_order() {
    let db = migrated();
    for order in ["newest", "oldest"] {
        let plan = plan(&db, &format!("tokens_of_teams_{order}"));
        assert!(
            plan.contains("SEARCH k USING INDEX tokens_by_team (team_id=? AND (created_at,id)"),
            "{order}:\n{plan}"
        );
    }
    for order in ["name", "name_descending"] {
        let plan = plan(&db, &format!("tokens_of_teams_{order}"));
        assert!(plan.contains("SEARCH k USING INDEX tokens_by_team (team_id=?)"), "{order}:\n{plan}");
    }
}

/// The statement for some teams and the one for all must not diverge.
#[test]
fn a_members_lists_equal_the_lists_of_all_teams_filtered() {
    let db = with_people();
    for n in 0..40 {
        let team = ["a", "b", "core-team"][n % 3];
        let none = None::<&str>;
        let id = format!("tok_{:02}", (n * 7) % 40);
        let name = format!("{}{}", ["x", "X", "y"][n % 3], n % 5);
        run(
            &db,
            "token_insert",
            params![
                id,
                name,
                team,
                none,
                r#"["*"]"#,
                "[]",
                none,
                0,
                0,
                none,
                "u",
                i64::try_from(n / 4).unwrap()
            ],
        );
    }
    let read =
        |name: &str, teams: &str, value: &dyn rusqlite::ToSql, id: &str| -> Vec<(String, String, i64)> {
            let mut statement = db.prepare(&query(name)).unwrap();
            let rows = statement
                .query_map(params![teams, None::<&str>, None::<&str>, 0, value, id, 7], |row| {
                    Ok((row.get("id")?, row.get("name")?, row.get("created_at")?))
                })
                .unwrap();
            rows.map(Result::unwrap).collect()
        };
    let last_name = "\u{10FFFF}".repeat(256);
    for teams in [r#"["a"]"#, r#"["a","b"]"#, r#"["a","b","core-team"]"#, "[]"] {
        for order in ["newest", "oldest", "name", "name_descending"] {
            let by_name = order.starts_with("name");
            let mut at: (String, i64) = match order {
                "newest" => (String::new(), 1 << 53),
                "oldest" | "name" => (String::new(), -1),
                _ => (last_name.clone(), 0),
            };
            let mut id = String::new();
            for page in 0..8 {
                let value: &dyn rusqlite::ToSql = if by_name { &at.0 } else { &at.1 };
                let all = read(&format!("tokens_list_{order}"), teams, value, &id);
                let some = read(&format!("tokens_of_teams_{order}"), teams, value, &id);
                assert_eq!(all, some, "{order} {teams} page {page}");
                let Some(last) = some.last().cloned() else { break };
                (id, at) = (last.0, (last.1, last.2));
            }
        }
    }
}

fn insert_route(db: &Connection, id: &str, second: Option<&str>, may_lend: bool) -> usize {
    let (path, none) = (format!("/api/{id}"), None::<&str>);
    #[rustfmt::skip]
    let params = params![
        id, id, path, "https://x.example/", none, "[]", "[]", 1, none, "[]", 0, "{}", "u", 1, second, may_lend
    ];
    run(db, "route_insert", params)
}

/// Calls may use the second upstream's credential, so the write depends on whether it has one.
#[test]
fn a_route_fails_over_only_to_the_checked_second_upstream() {
    let db = migrated();
    let none = None::<&str>;
    assert_eq!(insert_route(&db, "bare", None, false), 1);
    assert_eq!(insert_route(&db, "keyed", None, false), 1);
    db.execute_batch(
        "INSERT INTO credentials (route_id, kind, origin, sealed, updated_by, updated_at) VALUES ('keyed', 'bearer', 'https://x.example', 'v1.a.b', 'u', 1)",
    )
    .unwrap();
    for (second, may_lend, rows) in
        [("bare", false, 1), ("keyed", false, 0), ("keyed", true, 1), ("gone", true, 0)]
    {
        let update = |version: i64| {
            run(
                &db,
                "route_update",
                params![
                    "bare",
                    "n",
                    "https://x.example/",
                    none,
                    "[]",
                    "[]",
                    1,
                    none,
                    "[]",
                    0,
                    "{}",
                    2,
                    version,
                    second,
                    may_lend
                ],
            )
        };
        let version = count(&db, "SELECT version FROM routes WHERE id = 'bare'");
        assert_eq!(update(version), rows, "{second} {may_lend}");
        assert_eq!(
            insert_route(&db, &format!("n-{second}-{may_lend}"), Some(second), may_lend),
            rows,
            "{second} {may_lend}"
        );
    }
}
