use super::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::json;

/// Makes the steps' changes to items, as the system does.
fn apply(present: &[Item], steps: &[Step]) -> Vec<Item> {
    let id = |item: &Item| (item.kind, item.key.clone());
    let mut items: BTreeMap<(Kind, String), Item> =
        present.iter().map(|item| (id(item), item.clone())).collect();
    for Step { kind, key, deed } in steps {
        let at = (*kind, key.clone());
        match deed {
            Deed::Create { fields } => {
                let second = second_of(fields).map(|path| (Kind::Route, path.clone()));
                assert!(
                    second.is_none_or(|second| items.contains_key(&second)),
                    "{key} fails over to nothing"
                );
                assert!(fields.get("enabled") != Some(&json!(false)) || *kind != Kind::Token);
                let item = Item { kind: *kind, key: key.clone(), fields: fields.clone() };
                assert!(items.insert(at, item).is_none(), "{key} is made twice");
            }
            Deed::Update { changes } => {
                let item = items.get_mut(&at).unwrap();
                for (name, change) in changes {
                    assert_eq!(
                        item.fields.get(name).cloned().unwrap_or_default(),
                        change.before,
                        "{key}.{name}"
                    );
                    item.fields.insert(name.clone(), change.after.clone());
                }
                *item = Item::new(*kind, key.clone(), item.fields.clone());
            }
            Deed::Delete => {
                items.remove(&at).unwrap();
                let is_second = |item: &Item| second_of(&item.fields) == Some(key);
                assert!(*kind != Kind::Route || !items.values().any(is_second), "{key} is another's second");
            }
        }
    }
    items.into_values().collect()
}

fn fields() -> impl Strategy<Value = Fields> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0..3).prop_map(|n| json!(n)),
        "[ab]{0,2}".prop_map(Value::String),
        vec("[ab]", 0..2).prop_map(|list| json!(list)),
        "[r-t]".prop_map(|second| json!({ "failover": { "route_id": second } })),
    ];
    let name = prop_oneof![Just("name"), Just("enabled"), Just("scope_cap"), Just("settings")];
    btree_map(name.prop_map(str::to_owned), value, 0..4).prop_map(|map| map.into_iter().collect())
}

/// Items that a file could hold: a failover leads to a route that is there.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let kind = prop_oneof![
        Just(Kind::Team),
        Just(Kind::Route),
        Just(Kind::Token),
        Just(Kind::Price),
        Just(Kind::Channel)
    ];
    btree_map((kind, "[r-t]"), fields(), 0..8).prop_map(|map| {
        let routes: BTreeSet<String> =
            map.keys().filter(|(kind, _)| *kind == Kind::Route).map(|(_, key)| key.clone()).collect();
        let item = |((kind, key), mut fields): ((Kind, String), Fields)| {
            let second = second_of(&fields).cloned();
            if second.is_some_and(|second| kind != Kind::Route || second == key || !routes.contains(&second))
            {
                fields.remove("settings");
            }
            Item::new(kind, key, fields)
        };
        map.into_iter().map(item).collect()
    })
}

fn ids(items: &[Item]) -> BTreeSet<(Kind, String)> {
    items.iter().map(|item| (item.kind, item.key.clone())).collect()
}

proptest! {
    #[test]
    fn an_export_applied_to_an_empty_system_gives_the_same_export(wanted in items()) {
        let steps = plan(&[], &wanted, &BTreeSet::new(), false);
        prop_assert_eq!(apply(&[], &steps), wanted);
    }

    #[test]
    fn a_second_apply_changes_nothing(present in items(), wanted in items(), prune: bool) {
        // Nothing that stays may fail over to what is deleted.
        let made = ids(&present);
        let after = apply(&present, &plan(&present, &wanted, &made, true));
        prop_assert_eq!(plan(&after, &wanted, &made, prune), vec![]);
        prop_assert_eq!(&after, &wanted);
    }

    #[test]
    fn without_pruning_everything_that_the_file_does_not_name_stays(present in items(), wanted in items()) {
        let steps = plan(&present, &wanted, &ids(&present), false);
        prop_assert!(steps.iter().all(|step| step.deed != Deed::Delete));
        let after = apply(&present, &steps);
        let named = ids(&wanted);
        let others = |items: &[Item]| -> Vec<Item> {
            items.iter().filter(|item| !named.contains(&(item.kind, item.key.clone()))).cloned().collect()
        };
        prop_assert_eq!(others(&after), others(&present));
    }

    #[test]
    fn pruning_deletes_only_what_an_apply_has_made(present in items(), wanted in items(), made in items()) {
        let made = ids(&made);
        let steps = plan(&present, &wanted, &made, true);
        for step in steps.iter().filter(|step| step.deed == Deed::Delete) {
            prop_assert!(made.contains(&(step.kind, step.key.clone())));
        }
    }

    /// An apply that breaks off anywhere is finished by the next one, whose steps are those that were left.
    #[test]
    fn half_an_apply_is_finished_by_the_next(present in items(), wanted in items(), cut in 0_usize..20) {
        let made = ids(&present);
        let steps = plan(&present, &wanted, &made, true);
        let cut = cut.min(steps.len());
        let half = apply(&present, &steps[..cut]);
        let rest = plan(&half, &wanted, &made, true);
        let set = |steps: &[Step]| -> BTreeSet<String> {
            steps.iter().map(|step| serde_json::to_string(step).unwrap()).collect()
        };
        prop_assert_eq!(set(&rest), set(&steps[cut..]));
        prop_assert_eq!(apply(&half, &rest), wanted);
    }
}

#[test]
fn a_plan_names_only_fields_that_differ() {
    let item = |fields: Value| {
        Item::new(Kind::Route, "/api/x".into(), fields.as_object().cloned().unwrap_or_default())
    };
    let here = item(json!({"name": "X", "tags": [], "enabled": true, "timeout_ms": 5}));
    let wanted = item(json!({"name": "Y", "forward_cookies": false, "timeout_ms": 5}));
    let steps = plan(&[here], &[wanted], &BTreeSet::new(), false);
    assert_eq!(
        serde_json::to_value(steps).unwrap(),
        json!([{"kind":"route","key":"/api/x","action":"update","changes":{"name":{"before":"X","after":"Y"}}}])
    );
}
