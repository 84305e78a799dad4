//! Configuration as a file: what differs between the file and the system, as steps that make the system equal to it.
//!
//! An item is compared by its fields in canonical form ([`Item::new`]), so that a field that is left out and one that has
//! its default are the same.

#[cfg(test)]
mod tests;

use crate::collect;
use crate::encoding::hex;
use crate::stored::CRITICAL;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of items, in the order in which they are made. They are deleted in the opposite order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A team, by its id.
    Team,
    /// A route, by its path.
    Route,
    /// A token, by its team and name.
    Token,
    /// A model's price, by the model.
    Price,
    /// A channel of alerts, by its team and name.
    Channel,
}

/// The fields of an item.
pub type Fields = Map<String, Value>;

/// One item of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its stable name among those of its kind.
    pub key: String,
    /// Its fields in canonical form.
    pub fields: Fields,
}

impl Item {
    /// Makes an item. Fields that have their default are left out, and so are the marks of critical fields.
    pub fn new(kind: Kind, key: String, mut fields: Fields) -> Self {
        fields.values_mut().for_each(unmark);
        fields.retain(|name, value| !is_default(name, value));
        Self { kind, key, fields }
    }
}

/// Removes the marks of critical fields: storing adds them again.
fn unmark(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.remove(CRITICAL);
        fields.values_mut().for_each(unmark);
    }
}

/// Whether a field has the value that it has if it is left out. An empty scope cap admits nothing, and no cap everything;
/// a channel without thresholds is told of none, and one that names none of its defaults.
fn is_default(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_on) => *is_on == (name == "enabled"),
        Value::Array(list) => list.is_empty() && !matches!(name, "scope_cap" | "thresholds"),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(_) => false,
    }
}

/// A field that changes: its value before and after; `null` is its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldChange {
    /// The value that it has.
    pub before: Value,
    /// The value that it gets.
    pub after: Value,
}

/// One step towards the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The kind of its item.
    pub kind: Kind,
    /// The stable name of its item.
    pub key: String,
    /// The change of its item.
    #[serde(flatten)]
    pub deed: Deed,
}

/// The change that a step makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Deed {
    /// Makes the item.
    Create {
        /// Its fields.
        fields: Fields,
    },
    /// Changes fields of the item.
    Update {
        /// The fields that change, by name.
        changes: BTreeMap<String, FieldChange>,
    },
    /// Deletes the item.
    Delete,
}

/// Returns the steps from `present` to `wanted`, in an order in which each can be done. Items that the file does not name
/// stay, unless it prunes and an earlier apply has `made` them.
pub fn plan(present: &[Item], wanted: &[Item], made: &BTreeSet<(Kind, String)>, prune: bool) -> Vec<Step> {
    let id = |item: &Item| (item.kind, item.key.clone());
    let here: BTreeMap<_, _> = collect::map(present.iter().map(|item| (id(item), item)));
    let mut steps = creates(&here, wanted);
    for item in wanted {
        let Some(before) = here.get(&id(item)) else { continue };
        steps.extend(update(item, &before.fields, &item.fields));
    }
    // A token may need the new cap of its team. What is new comes first: something else may refer to it.
    steps.sort_by_key(|step| (step.kind, !matches!(step.deed, Deed::Create { .. })));
    if prune {
        steps.extend(deletes(present, wanted, made));
    }
    steps
}

/// Returns the steps that delete what an earlier apply has made and the file no longer names. A route that one that stays
/// fails over to stays, too.
fn deletes(present: &[Item], wanted: &[Item], made: &BTreeSet<(Kind, String)>) -> Vec<Step> {
    let id = |item: &Item| (item.kind, item.key.clone());
    let named: BTreeSet<_> = collect::set(wanted.iter().map(id));
    let is_gone = |item: &&Item| !named.contains(&id(item)) && made.contains(&id(item));
    let (mut gone, mut staying): (Vec<&Item>, Vec<&Item>) = present.iter().partition(is_gone);
    staying.retain(|item| !named.contains(&id(item)));
    staying.extend(wanted);
    loop {
        let is_second = |item: &&Item| {
            item.kind == Kind::Route
                && staying.iter().any(|other| second_of(&other.fields) == Some(&item.key))
        };
        let (kept, rest): (Vec<&Item>, Vec<&Item>) = gone.iter().copied().partition(is_second);
        gone = rest;
        if kept.is_empty() {
            break;
        }
        staying.extend(kept);
    }
    gone.sort_by_key(|item| Reverse(item.kind));
    let mut steps = vec![];
    for item in &gone {
        // None can be deleted while another one fails over to it.
        if second_of(&item.fields).is_some() {
            steps.extend(update(item, &item.fields, &without_failover(item)));
        }
    }
    steps.extend(gone.into_iter().map(|item| step(item, Deed::Delete)));
    steps
}

fn without_failover(item: &Item) -> Fields {
    let mut fields = item.fields.clone();
    if let Some(settings) = fields.get_mut("settings").and_then(Value::as_object_mut) {
        settings.remove("failover");
    }
    Item::new(item.kind, item.key.clone(), fields).fields
}

/// Returns a digest of steps in any order. It changes if anything does that one of them changes.
pub fn digest(steps: &[Step]) -> String {
    let mut texts: Vec<String> = steps.iter().filter_map(|step| serde_json::to_string(step).ok()).collect();
    texts.sort();
    hex(&Sha256::digest(texts.join("\n").as_bytes()))
}

fn step(item: &Item, deed: Deed) -> Step {
    Step { kind: item.kind, key: item.key.clone(), deed }
}

/// Returns the steps that make what is not here. A field that can only be set later follows as a change: a failover to a
/// route that is not there yet, and that a token is disabled.
fn creates(here: &BTreeMap<(Kind, String), &Item>, wanted: &[Item]) -> Vec<Step> {
    let mut new: Vec<&Item> =
        wanted.iter().filter(|item| !here.contains_key(&(item.kind, item.key.clone()))).collect();
    let routes = here.keys().filter(|(kind, _)| *kind == Kind::Route);
    let mut known: BTreeSet<String> = collect::set(routes.map(|(_, key)| key.clone()));
    let mut steps = vec![];
    while !new.is_empty() {
        let is_ready = |item: &&Item| second_of(&item.fields).is_none_or(|second| known.contains(second));
        let (ready, waiting): (Vec<&Item>, Vec<&Item>) = new.iter().copied().partition(is_ready);
        // Routes that fail over to each other have no first one.
        let (now, rest) = if ready.is_empty() { (waiting, vec![]) } else { (ready, waiting) };
        for item in now {
            let first = first_fields(item, &known);
            steps.push(step(item, Deed::Create { fields: first.clone() }));
            steps.extend(update(item, &first, &item.fields));
            if item.kind == Kind::Route {
                known.insert(item.key.clone());
            }
        }
        new = rest;
    }
    steps
}

/// Returns the fields with which an item is made.
fn first_fields(item: &Item, known: &BTreeSet<String>) -> Fields {
    let is_early = second_of(&item.fields).is_some_and(|second| !known.contains(second));
    let mut fields = if is_early { without_failover(item) } else { item.fields.clone() };
    if item.kind == Kind::Token {
        fields.remove("enabled");
    }
    fields
}

/// Returns the path of the route that a route fails over to. In a file it stands where the API has the route's id.
pub fn second_of(fields: &Fields) -> Option<&String> {
    match fields.get("settings")?.get("failover")?.get("route_id")? {
        Value::String(path) => Some(path),
        _ => None,
    }
}

fn update(item: &Item, before: &Fields, after: &Fields) -> Option<Step> {
    let names: BTreeSet<&String> = collect::set(before.keys().chain(after.keys()));
    let value = |fields: &Fields, name: &str| fields.get(name).cloned().unwrap_or_default();
    let change = |name: &String| FieldChange { before: value(before, name), after: value(after, name) };
    let changes = names.into_iter().map(|name| (name.clone(), change(name)));
    let changes: BTreeMap<_, _> = collect::map(changes.filter(|(_, change)| change.before != change.after));
    (!changes.is_empty()).then(|| step(item, Deed::Update { changes }))
}
