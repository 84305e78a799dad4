//! The latest changes as sentences, and their marks above the chart of calls.

use crate::components::{CardHead, Time};
use crate::format;
use crate::i18n::{I18n, use_i18n};
use crate::pages::audit::action_name;
use crate::route::Route;
use contract::audit::{AuditEntry, Entity};
use contract::dashboard::Home;
use domain::time::HOUR_MS;
use patternfly_yew::prelude::*;
use serde_json::Value;
use yew::prelude::*;
use yew_router::prelude::*;

const SHOWN: usize = 8;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ChangesProps {
    pub changes: Vec<AuditEntry>,
}

/// The latest changes, newest first.
#[component]
pub fn Changes(props: &ChangesProps) -> Html {
    let i18n = use_i18n();
    if props.changes.is_empty() {
        return html! {};
    }
    let line = |entry: &AuditEntry| {
        html! {
            <li key={entry.id.clone()} class="tm-change">
                <span class="tm-subtle"><Time at={entry.at} is_relative=true /></span>
                <span class="tm-address">{ sentence(&i18n, entry) }</span>
            </li>
        }
    };
    html! {
        <Card>
            <CardHead title={i18n.t("dashboard.changes")}>
                <Link<Route> to={Route::AuditLogs} classes="tm-more">{ i18n.t("audit.title") }</Link<Route>>
            </CardHead>
            <CardBody><ul class="tm-changes-list" role="list">{ for props.changes.iter().take(SHOWN).map(line) }</ul></CardBody>
        </Card>
    }
}

/// Such as "Ada Admin rotated Daily digest", with a link to what was changed.
fn sentence(i18n: &I18n, entry: &AuditEntry) -> Html {
    let who = who(i18n, entry);
    let what = subject(entry);
    let Some(text) = i18n.deed(&entry.action) else {
        return html! { <>{ who }{ ": " }{ action_name(i18n, &entry.action) }{ " " }{ linked(entry, what) }</> };
    };
    let text = text.replace("{who}", &who);
    let (before, after) = text.split_once("{what}").unwrap_or((&text, ""));
    html! { <>{ before.to_owned() }{ linked(entry, what) }{ after.to_owned() }</> }
}

fn who(i18n: &I18n, entry: &AuditEntry) -> String {
    match entry.actor.as_str() {
        "system" => i18n.t("audit.system").to_string(),
        actor => entry.actor_name.clone().unwrap_or_else(|| actor.to_owned()),
    }
}

/// The name that the thing has or had; its id if it has none.
fn subject(entry: &AuditEntry) -> String {
    let name = |state: &Option<Value>| {
        let state = state.as_ref()?;
        let text = |name: &str| state.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        text("name").or_else(|| text("email")).or_else(|| text("path"))
    };
    name(&entry.after).or_else(|| name(&entry.before)).or_else(|| entry.entity_id.clone()).unwrap_or_default()
}

fn linked(entry: &AuditEntry, name: String) -> Html {
    let id = entry.entity_id.clone();
    let to = match (Entity::parse(&entry.entity), id) {
        (Some(Entity::Token), Some(id)) => Route::Token { id },
        (Some(Entity::Route), Some(id)) => Route::RouteDetail { id },
        (Some(Entity::Team), Some(id)) => Route::Team { id },
        (Some(Entity::Price), _) => Route::Prices,
        _ => return html! { <strong>{ name }</strong> },
    };
    html! { <Link<Route> {to}>{ name }</Link<Route>> }
}

/// Marks above the chart, each where its change was made.
pub fn marks(i18n: &I18n, home: &Home) -> Html {
    let hours = i64::try_from(home.series.len()).unwrap_or_default().max(1);
    let width = hours * HOUR_MS;
    let shown = home.changes.iter().filter(|entry| entry.at >= home.from && entry.at < home.from + width);
    let marks = shown.map(|entry| {
        let x = (entry.at - home.from) * 1_000 / width;
        let text = i18n
            .deed(&entry.action)
            .map(|text| text.replace("{who}", &who(i18n, entry)).replace("{what}", &subject(entry)));
        let text = text.unwrap_or_else(|| action_name(i18n, &entry.action).to_string());
        html! {
            <rect x={x.to_string()} y="0" width="4" height="10">
                <title>{ format!("{} {text}", format::clock_time(i18n, entry.at)) }</title>
            </rect>
        }
    });
    // The list of changes below says the same in words.
    html! { <svg class="tm-marks" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{ for marks }</svg> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_named_as_it_is_or_was() {
        let mut entry: AuditEntry = serde_json::from_value(serde_json::json!({
            "id":"aud_1","at":0,"actor":"user_1","actor_name":null,"action":"revoke-token","result":"done","entity":"token",
            "entity_id":"tok_1","team_id":null,"before":{"name":"Digest"},"after":null,"client_ip":null,"request_id":"r"}))
        .unwrap();
        assert_eq!(subject(&entry), "Digest");
        entry.before = None;
        assert_eq!(subject(&entry), "tok_1");
    }
}
