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
