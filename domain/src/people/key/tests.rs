use super::*;
use crate::access::carrier::{Carrier, holds_token};
use crate::id::{CORE_TEAM, UserId};
use crate::keys::{Key256, KeyRing};
use crate::people::role::{Subject, authorize};
use crate::token::{TokenSecret, mint};
use proptest::prelude::*;

fn ring(byte: u8) -> KeyRing {
    KeyRing::new(Key256::new([byte; 32]), vec![])
}

fn key(read_only: bool, may: &[Power]) -> Key {
    Key { id: "key_1".into(), read_only, may: may.to_vec() }
}

fn stored(roles: Vec<Membership>, key: Key) -> Stored {
    Stored { key, roles, ip_allow: vec![], expires_at: 100, secret_ends_at: None, revoked_at: None }
}

/// Every choice of roles in the core team and in `ops`.
fn all_roles() -> Vec<Vec<Membership>> {
    let levels = || std::iter::once(None).chain(Role::ALL.into_iter().map(Some));
    let pairs = levels().flat_map(|core| levels().map(move |ops| [(CORE_TEAM, core), ("ops", ops)]));
    let roles = |pair: [(&str, Option<Role>); 2]| {
        let role =
            |(team, role): (&str, Option<Role>)| role.map(|role| Membership { team: team.into(), role });
        pair.into_iter().filter_map(role).collect()
    };
    pairs.map(roles).collect()
}

/// Every action on everything that a team or nobody owns, by its maker or by another.
fn refusals(caller: &Caller) -> Vec<(Action, usize, bool)> {
    let teams: [Option<TeamId>; 4] = [None, Some(CORE_TEAM.into()), Some("ops".into()), Some("web".into())];
    let (own, other) = (UserId::from("maker"), UserId::from("other"));
    let mut refused = vec![];
    for action in Action::ALL {
        for (i, team) in teams.iter().enumerate() {
            for is_own in [true, false] {
                let created_by = Some(if is_own { &own } else { &other });
                if authorize(caller, action, Subject { team: team.as_ref(), created_by }).is_err() {
                    refused.push((action, i, is_own));
                }
            }
        }
    }
    refused
}

#[test]
fn a_key_may_do_nothing_that_its_maker_may_not() {
    let all = all_roles();
    for held in &all {
        let maker = Caller::new("maker".into(), held.clone());
        let refused = refusals(&maker);
        for roles in &all {
            let caller = stored(roles.clone(), key(false, &Power::ALL)).admit(&maker, None, 1).unwrap();
            let by_key = refusals(&caller);
            for one in &refused {
                assert!(by_key.contains(one), "{held:?} by a key with {roles:?}: {one:?}");
            }
        }
    }
}

#[test]
fn a_key_with_all_roles_of_its_maker_may_do_everything_that_they_may_except_with_keys() {
    for held in all_roles() {
        let maker = Caller::new("maker".into(), held.clone());
        let caller = stored(held.clone(), key(false, &Power::ALL)).admit(&maker, None, 1).unwrap();
        let never = |(action, ..): &(Action, usize, bool)| action.by_key() == ByKey::Never;
        let left: Vec<_> = refusals(&caller).into_iter().filter(|one| !never(one)).collect();
        let own: Vec<_> = refusals(&maker).into_iter().filter(|one| !never(one)).collect();
        assert_eq!(left, own, "{held:?}");
    }
}

#[test]
fn a_read_only_key_changes_nothing_and_a_power_must_be_named() {
    let admin = vec![Membership { team: CORE_TEAM.into(), role: Role::Admin }];
    let maker = Caller::new("maker".into(), admin.clone());
    let allowed = |key: Key| {
        let caller = stored(admin.clone(), key).admit(&maker, None, 1).unwrap();
        let team = TeamId::from("ops");
        let may = |action: &Action| authorize(&caller, *action, Subject::team(&team)).is_ok();
        Action::ALL.into_iter().filter(may).collect::<Vec<_>>()
    };
    let reads = allowed(key(true, &Power::ALL));
    assert!(reads.iter().all(|action| action.by_key() == ByKey::Read) && reads.len() == 11, "{reads:?}");
    for (power, action) in
        [(Power::SetCredential, Action::SetCredential), (Power::AssignSenior, Action::AssignSenior)]
    {
        assert!(!allowed(key(false, &[])).contains(&action));
        assert!(allowed(key(false, &[power])).contains(&action));
    }
    for action in [Action::CreateKey, Action::RotateKey, Action::RevokeKey] {
        assert!(!allowed(key(false, &Power::ALL)).contains(&action));
    }
}

#[test]
fn a_key_follows_its_maker_down_and_ends_with_their_memberships() {
    let ops = |role| vec![Membership { team: "ops".into(), role }];
    let roles = |held: Vec<Membership>| {
        let maker = Caller::new("maker".into(), held);
        stored(ops(Role::Manager), key(false, &[])).admit(&maker, None, 1).unwrap().memberships
    };
    assert_eq!(roles(ops(Role::Admin)), ops(Role::Manager));
    assert_eq!(roles(ops(Role::Viewer)), ops(Role::Viewer));
    assert_eq!(roles(vec![]), []);
    let core = |role| vec![Membership { team: CORE_TEAM.into(), role }];
    assert_eq!(roles(core(Role::Admin)), ops(Role::Manager));
    assert_eq!(roles(core(Role::Manager)), ops(Role::Viewer));
}

#[test]
fn a_key_ends_by_time_by_revocation_and_at_other_addresses() {
    let maker = Caller::new("maker".into(), vec![]);
    let admit = |change: fn(&mut Stored), ip: Option<&str>| {
        let mut stored = stored(vec![], key(false, &[]));
        change(&mut stored);
        stored.admit(&maker, ip.map(|ip| ip.parse().unwrap()), 50).map(|caller| caller.signature().to_owned())
    };
    assert_eq!(admit(|_| {}, None), Ok("key_1".to_owned()));
    assert_eq!(admit(|s| s.expires_at = 50, None), Err(KeyRefusal::Expired));
    assert_eq!(admit(|s| s.secret_ends_at = Some(50), None), Err(KeyRefusal::Expired));
    assert!(admit(|s| s.secret_ends_at = Some(51), None).is_ok());
    assert_eq!(admit(|s| s.revoked_at = Some(60), None), Err(KeyRefusal::Revoked));
    let near: fn(&mut Stored) = |s| s.ip_allow = vec!["10.0.0.0/8".parse().unwrap()];
    assert_eq!(admit(near, None), Err(KeyRefusal::Address));
    assert_eq!(admit(near, Some("11.0.0.1")), Err(KeyRefusal::Address));
    assert!(admit(near, Some("10.1.2.3")).is_ok());
}

/// Computed independently, from the description in `domain/src/token.rs` with the label of a key.
#[test]
fn the_format_is_pinned() {
    let secret = KeySecret::mint([0xAB; 32], &ring(1)).unwrap();
    assert_eq!(secret.expose(), GOLDEN);
    assert_eq!(secret.hint().start, "nak_ehv1hsdO");
    assert!(!format!("{secret:?}").contains("ehv1"));
}
const GOLDEN: &str = "nak_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heupJGweUi";

#[test]
fn neither_a_key_nor_a_token_passes_for_the_other() {
    let (token, secret) = (mint([7; 32], &ring(1)).unwrap(), KeySecret::mint([7; 32], &ring(1)).unwrap());
    let renamed = token.expose().replacen("ntk_", "nak_", 1);
    assert!(KeySecret::parse(secret.expose(), &ring(1)).is_some());
    assert!(KeySecret::parse(&renamed, &ring(1)).is_none());
    assert!(TokenSecret::parse(&secret.expose().replacen("nak_", "ntk_", 1), &ring(1)).is_err());
    assert!(KeySecret::parse(secret.expose(), &ring(2)).is_none());
}

/// A key that is sent to the gateway by mistake must not go on to an upstream.
#[test]
fn the_gateway_takes_a_key_for_its_own_and_refuses_it() {
    let secret = KeySecret::mint([7; 32], &ring(1)).unwrap();
    let bearer = format!("Bearer {}", secret.expose());
    assert_eq!(Carrier::Authorization.token_in(&bearer), Some(secret.expose()));
    assert!(holds_token(&bearer) && holds_token(secret.expose()));
    assert!(TokenSecret::parse(secret.expose(), &ring(1)).is_err());
}

proptest! {
    #[test]
    fn one_changed_character_is_refused(random: [u8; 32], at in 4_usize..53, to in "[0-9A-Za-z]") {
        let secret = KeySecret::mint(random, &ring(5)).unwrap();
        let mut text = secret.expose().to_owned();
        text.replace_range(at..=at, &to);
        prop_assert_eq!(KeySecret::parse(&text, &ring(5)).is_some(), text == secret.expose());
    }

    #[test]
    fn any_other_string_is_refused(text in "\\PC{0,80}") {
        prop_assert!(KeySecret::parse(&text, &ring(5)).is_none());
    }
}
