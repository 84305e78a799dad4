use super::*;
use serde_json::{Value, json};

#[test]
fn names_and_fields_of_limits_are_those_on_the_wire() {
    for kind in LimitKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        let mut limits = Limits::default();
        limits.set(*kind, Some(1));
        assert_eq!(serde_json::to_value(&limits).unwrap(), json!({ kind.field(): 1 }));
        assert_eq!(kind.field().replace('_', "-"), kind.as_str());
    }
}

#[test]
fn each_limit_is_bounded_on_both_sides_and_defaults_to_the_teams() {
    for kind in LimitKind::ALL {
        let with = |value| {
            let mut limits = Limits::default();
            limits.set(*kind, Some(value));
            limits
        };
        let is_fine = |value| {
            let mut errors = vec![];
            with(value).check("", &mut errors);
            errors.is_empty()
        };
        assert_eq!([0, 1, kind.most(), kind.most() + 1].map(is_fine), [false, true, true, false], "{kind:?}");
        assert_eq!(Limits::default().or(&with(5)), with(5));
        assert_eq!(with(4).or(&with(5)), with(4));
    }
}

fn is_looser(before: Value, after: Value) -> bool {
    let limits = |value| serde_json::from_value::<Limits>(value).unwrap();
    limits(before).loosened_by(&limits(after))
}

#[test]
fn more_none_at_all_and_a_smaller_reservation_are_looser() {
    let budget = json!({"cost_micros_per_day": 5});
    for (before, after) in [
        (json!({"calls_per_day": 5}), json!({"calls_per_day": 6})),
        (json!({"calls_per_day": 5}), json!({})),
        (json!({"concurrent_calls": 5, "body_bytes": 9}), json!({"concurrent_calls": 5, "body_bytes": 10})),
        (budget.clone(), json!({"cost_micros_per_day": 5, "cost_micros_per_call": 1})),
        (budget.clone(), json!({"cost_micros_per_day": 5, "on_limit_failure": "allow"})),
    ] {
        assert!(is_looser(before.clone(), after.clone()), "{before} to {after}");
    }
    for (before, after) in [
        (json!({}), json!({"calls_per_day": 6, "cost_micros_per_day": 1, "cost_micros_per_call": 1})),
        (json!({"calls_per_day": 5}), json!({"calls_per_day": 5})),
        (json!({"calls_per_day": 5}), json!({"calls_per_day": 4, "calls_per_hour": 9})),
        (budget.clone(), budget),
    ] {
        assert!(!is_looser(before.clone(), after.clone()), "{before} to {after}");
    }
}

#[test]
fn a_version_that_does_not_know_models_refuses_their_token() {
    let limits: Limits = serde_json::from_value(json!({"models": ["gpt-4o*"], "calls_per_day": 5})).unwrap();
    let stored = json!({"models": ["gpt-4o*"], "calls_per_day": 5, "critical": ["models"]});
    assert_eq!(serde_json::to_value(&limits).unwrap(), stored);
    let again: Limits = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(again, limits);
    assert_eq!(serde_json::to_value(&again).unwrap(), stored, "the mark is not added again");
    let shown = unmarked(&again, serde_json::value::Serializer).unwrap();
    assert_eq!(shown, json!({"models": ["gpt-4o*"], "calls_per_day": 5}), "in a response");
    let without = Limits { models: vec![], ..again };
    assert_eq!(serde_json::to_value(&without).unwrap(), json!({"calls_per_day": 5}));
    let newer: Limits = serde_json::from_value(json!({"critical": ["models", "hours"], "hours": 9})).unwrap();
    assert!(newer.unread.forbids_use());
}

#[test]
fn a_team_models_hold_for_tokens_without_their_own() {
    let models = |names: &[&str]| Limits {
        models: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Limits::default()
    };
    assert_eq!(models(&[]).or(&models(&["a"])), models(&["a"]));
    assert_eq!(models(&["b"]).or(&models(&["a"])), models(&["b"]));
    assert!(models(&["a"]).loosened_by(&models(&["b"])) && !models(&["a*"]).loosened_by(&models(&["ab"])));
}
