//! Invitations: who may accept one, and what ends it.

use super::people::{count, run, text, with_people};
use super::query;
use domain::id::TeamId;
use domain::people::role::{Action, Caller, Membership, Role, Subject, authorize};
use rusqlite::{Connection, params};

fn invite(db: &Connection, id: &str, email: &str, by: &str, teams: &[(&str, Role)]) {
    run(db, "invitation_insert", params![id, email, by, 1, 1_000]);
    for (team, role) in teams {
        db.execute("INSERT INTO invitation_teams VALUES (?1, ?2, ?3)", params![id, team, role.as_str()])
            .unwrap();
    }
}

/// Runs the statements of `invitations::lapse`.
fn lapse(db: &Connection, emails: &str, inviters: &str) {
    run(db, "invitations_lapse_audit", params![emails, inviters, 5, "req"]);
    run(db, "invitations_lapse", params![emails, inviters]);
    run(db, "invitations_lapse_parts", params![emails, inviters]);
}

/// Runs the statements of `invitations::accept`.
fn accept(db: &Connection, email: &str, seen_by: Option<&str>) {
    let emails = format!("[{email:?}]");
    lapse(db, &emails, "[]");
    run(db, "accept_audit", params![emails, 5, "req", seen_by]);
    run(db, "accept_memberships", params![emails, 5, seen_by]);
    run(db, "accept_done", params![emails, 5, seen_by]);
}

fn state(db: &Connection, id: &str) -> String {
    db.query_row("SELECT state FROM invitations WHERE id = ?1", [id], |row| row.get(0)).unwrap()
}

/// For each current role of an inviter, in the team and in core-team: the offered role is given exactly if they could
/// still give it, according to the function that decides it elsewhere.
#[test]
fn an_invitation_is_accepted_exactly_if_its_inviter_may_still_assign_the_role() {
    let roles: Vec<Option<Role>> = Role::ALL.into_iter().map(Some).chain([None]).collect();
    for invited in Role::ALL {
        for in_team in &roles {
            for in_core in &roles {
                let db = with_people();
                let held = [("a", *in_team), ("core-team", *in_core)];
                let memberships: Vec<Membership> = held
                    .iter()
                    .filter_map(|(team, role)| Some(Membership { team: TeamId::from(*team), role: (*role)? }))
                    .collect();
                for membership in &memberships {
                    run(
                        &db,
                        "membership_insert",
                        params!["inviter", membership.team.as_str(), membership.role.as_str(), 1],
                    );
                }
                invite(&db, "i", "Invited@example.test", "inviter", &[("a", invited)]);
                accept(&db, "invited@example.test", None);
                let caller = Caller::new("inviter".into(), memberships);
                let team = TeamId::from("a");
                let may =
                    authorize(&caller, Action::assignment(None, Some(invited)), Subject::team(&team)).is_ok();
                let given = text(&db, "SELECT max(role) FROM memberships WHERE user_id = 'invited'");
                let wanted = may.then(|| invited.as_str().to_owned());
                assert_eq!(given, wanted, "{invited:?} by {in_team:?}, {in_core:?}");
                assert_eq!(state(&db, "i"), if may { "accepted" } else { "revoked" });
                let audit = text(&db, "SELECT max(action) FROM audit").unwrap();
                assert_eq!(audit, if may { "accept-invitation" } else { "revoke-invitation" });
            }
        }
    }
}

#[test]
fn the_invitation_of_a_deleted_inviter_gives_nothing() {
    let db = with_people();
    run(&db, "membership_insert", params!["inviter", "a", "ADMIN", 1]);
    invite(&db, "i", "invited@example.test", "inviter", &[("a", Role::Admin)]);
    db.execute_batch("UPDATE users SET deleted_at = 1 WHERE id = 'inviter'").unwrap();
    accept(&db, "invited@example.test", None);
    assert_eq!(state(&db, "i"), "revoked");
    assert_eq!(count(&db, "SELECT count(*) FROM memberships WHERE user_id = 'invited'"), 0);
}

/// If an ADMIN of two teams loses one, their offers in the other stay. An invitation with no offer left is revoked.
#[test]
fn losing_a_role_revokes_exactly_the_open_invitations_that_needed_it() {
    let db = with_people();
    for team in ["a", "b"] {
        run(&db, "membership_insert", params!["inviter", team, "ADMIN", 1]);
    }
    invite(&db, "both", "x@example.test", "inviter", &[("a", Role::Viewer), ("b", Role::Admin)]);
    invite(&db, "one", "y@example.test", "inviter", &[("b", Role::Viewer)]);
    invite(&db, "late", "z@example.test", "inviter", &[("b", Role::Viewer)]);
    invite(&db, "others", "x@example.test", "stays", &[("b", Role::Viewer)]);
    db.execute_batch("UPDATE invitations SET state = 'expired' WHERE id = 'late'").unwrap();
    run(&db, "membership_delete", params!["inviter", "b", "ADMIN"]);
    lapse(&db, "[]", r#"["inviter"]"#);
    let states: Vec<String> = ["both", "one", "late", "others"].iter().map(|id| state(&db, id)).collect();
    assert_eq!(states, ["pending", "revoked", "revoked", "pending"]);
    let left = text(
        &db,
        "SELECT group_concat(invitation_id || ' ' || team_id) FROM invitation_teams WHERE invitation_id = 'both'",
    );
    assert_eq!(left.as_deref(), Some("both a"));
    let told = text(
        &db,
        "SELECT group_concat(entity_id || ' ' || team_id) FROM (SELECT * FROM audit ORDER BY entity_id)",
    );
    assert_eq!(told.as_deref(), Some("both b,late b,one b"));
    // A revoked invitation still lists its teams.
    assert_eq!(count(&db, "SELECT count(*) FROM invitation_teams WHERE invitation_id = 'one'"), 1);
    // A repeat changes nothing and records nothing.
    lapse(&db, "[]", r#"["inviter"]"#);
    assert_eq!(count(&db, "SELECT count(*) FROM audit"), 3);
}

/// A person whose inviter has left the team can still invite, by their own role.
#[test]
fn a_former_inviters_open_invitations_are_revoked_but_not_those_of_their_invitees() {
    let db = with_people();
    run(&db, "membership_insert", params!["inviter", "a", "ADMIN", 1]);
    invite(&db, "first", "invited@example.test", "inviter", &[("a", Role::Admin)]);
    accept(&db, "invited@example.test", None);
    invite(&db, "second", "next@example.test", "invited", &[("a", Role::Admin)]);
    invite(&db, "open", "other@example.test", "inviter", &[("a", Role::Admin)]);
    run(&db, "membership_delete", params!["inviter", "a", "ADMIN"]);
    lapse(&db, "[]", r#"["inviter"]"#);
    assert_eq!((state(&db, "second").as_str(), state(&db, "open").as_str()), ("pending", "revoked"));
}

#[test]
fn an_invitation_does_not_add_a_person_whom_the_inviter_cannot_see() {
    let db = with_people();
    run(&db, "membership_insert", params!["inviter", "a", "MANAGER", 1]);
    invite(&db, "i", "invited@example.test", "inviter", &[("a", Role::Viewer)]);
    accept(&db, "invited@example.test", Some(r#"["a"]"#));
    assert_eq!(state(&db, "i"), "pending");
    let load = |at: i64| -> i64 {
        db.query_row(&query("person_load"), params!["invited", at], |row| row.get("invited")).unwrap()
    };
    assert_eq!((load(5), load(1_000)), (1, 0), "their next request sees it, until it has expired");
    accept(&db, "invited@example.test", None);
    assert_eq!((state(&db, "i").as_str(), load(5)), ("accepted", 0));
}

#[test]
fn simultaneous_revocations_of_all_parts_revoke_the_invitation() {
    let db = with_people();
    invite(&db, "i", "x@example.test", "stays", &[("a", Role::Viewer), ("b", Role::Viewer)]);
    for (team, left) in [("a", "pending"), ("b", "revoked")] {
        assert_eq!(run(&db, "invitation_part_delete", params!["i", format!("[{team:?}]")]), 1);
        run(&db, "invitation_revoke_empty", params!["i"]);
        assert_eq!(state(&db, "i"), left);
    }
    assert_eq!(run(&db, "invitation_part_delete", params!["i", r#"["a"]"#]), 0);
}
