//! The audit log: who changed something, and who tried to.

use crate::api::use_api;
use crate::components::{
    AsyncView, CallErrorView, Column, DataTable, Empty, Page, Pager, Range, RangePicker, Row, SearchField,
    Select, Time,
};
use crate::download;
use crate::hooks::{use_action, use_debounced, use_paged, use_query};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use contract::Page as Items;
use contract::audit::{AuditEntry, AuditQuery, AuditResult, ExportAudit, ListAudit};
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const STILL_MS: u32 = 250;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    action: Option<String>,
    entity: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    actor: String,
    result: Option<AuditResult>,
    #[serde(flatten)]
    range: Range,
}

impl Filter {
    fn query(self, cursor: Option<String>) -> AuditQuery {
        let span = self.range.query();
        AuditQuery {
            action: self.action,
            entity: self.entity,
            actor: Some(self.actor.trim().to_owned()).filter(|actor| !actor.is_empty()),
            result: self.result,
            from: span.from,
            to: span.to,
            cursor,
            ..AuditQuery::default()
        }
    }
}

const ACTIONS: [&str; 23] = [
    "create-token",
    "update-token",
    "rotate-token",
    "extend-token",
    "disable-token",
    "enable-token",
    "revoke-token",
    "create-route",
    "update-route",
    "delete-route",
    "set-credential",
    "clear-credential",
    "test-route",
    "create-team",
    "update-team",
    "delete-team",
    "add-member",
    "set-team-role",
    "remove-member",
    "create-invitation",
    "resend-invitation",
    "revoke-invitation",
    "reconcile",
];
const ENTITIES: [&str; 5] = ["token", "route", "team", "user", "invitation"];

/// Returns an action in the reader's language; an unknown one keeps its name.
pub fn action_name(i18n: &I18n, action: &str) -> AttrValue {
    match action {
        "create-token" => i18n.t("action.create-token"),
        "update-token" => i18n.t("action.update-token"),
        "rotate-token" => i18n.t("action.rotate-token"),
        "extend-token" => i18n.t("action.extend-token"),
        "disable-token" => i18n.t("action.disable-token"),
        "enable-token" => i18n.t("action.enable-token"),
        "revoke-token" => i18n.t("action.revoke-token"),
        "create-route" => i18n.t("action.create-route"),
        "update-route" => i18n.t("action.update-route"),
        "delete-route" => i18n.t("action.delete-route"),
        "set-credential" => i18n.t("action.set-credential"),
        "clear-credential" => i18n.t("action.clear-credential"),
        "test-route" => i18n.t("action.test-route"),
        "create-team" => i18n.t("action.create-team"),
        "update-team" => i18n.t("action.update-team"),
        "delete-team" => i18n.t("action.delete-team"),
        "add-member" => i18n.t("action.add-member"),
        "set-team-role" => i18n.t("action.set-team-role"),
        "remove-member" => i18n.t("action.remove-member"),
        "create-invitation" => i18n.t("action.create-invitation"),
        "resend-invitation" => i18n.t("action.resend-invitation"),
        "revoke-invitation" => i18n.t("action.revoke-invitation"),
        "delete-user" => i18n.t("action.delete-user"),
        "bootstrap-admin" => i18n.t("action.bootstrap-admin"),
        "reconcile" => i18n.t("action.reconcile"),
        other => AttrValue::from(other.to_owned()),
    }
}

fn entity_name(i18n: &I18n, entity: &str) -> AttrValue {
    match entity {
        "token" => i18n.t("token.title"),
        "route" => i18n.t("route.title"),
        "team" => i18n.t("team.title"),
        "user" => i18n.t("user.title"),
        "invitation" => i18n.t("invitation.title"),
        other => AttrValue::from(other.to_owned()),
    }
}

/// `/audit-logs`
#[component]
pub fn AuditPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let entries = {
        let api = api.clone();
        use_paged(asked, move |filter: Filter, cursor| {
            let api = api.clone();
            async move { api.request::<ListAudit>().query(&filter.query(cursor)).send().await }
        })
    };
    let export = use_action(
        move |filter: Filter| {
            let api = api.clone();
            async move { api.request::<ExportAudit>().query(&filter.query(None)).download().await }
        },
        Callback::from(|text: String| download::save_file("audit.csv", "text/csv", &text)),
    );
    let on_export = {
        let (on_run, filter) = (export.on_run.clone(), filter.clone());
        Callback::from(move |_: MouseEvent| on_run.emit(filter.clone()))
    };
    let is_busy = entries.remote.is_loading;
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |page: Rc<Items<AuditEntry>>| {
            let rows: Vec<Row> = page.items.iter().map(|entry| row(&i18n, entry)).collect();
            html! { <DataTable label={i18n.t("audit.title")} columns={columns(&i18n)} {rows} {is_busy} /> }
        })
    };
    let actions = html! {
        <Button variant={ButtonVariant::Secondary} label={i18n.t("app.csv").to_string()} icon={Icon::Download} loading={export.is_busy} disabled={export.is_busy} onclick={on_export} />
    };
    html! {
        <Page title={i18n.t("audit.title")} summary={i18n.t("audit.summary")} {actions}>
            <Filters {filter} {on_filter} />
            if let Some(error) = export.error {
                <CallErrorView {error} />
            }
            <AsyncView<Items<AuditEntry>>
                state={entries.remote.state}
                on_retry={entries.remote.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<AuditEntry>>| page.items.is_empty())}
                empty={html! { <Empty title={i18n.t("audit.none")} /> }}
            />
            <Pager number={entries.number} on_previous={entries.on_previous} on_next={entries.on_next} />
        </Page>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct FiltersProps {
    filter: Filter,
    on_filter: Callback<Filter>,
}

#[component]
fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let filter = &props.filter;
    let set = |change: fn(&mut Filter, Option<String>)| {
        let filter = filter.clone();
        props.on_filter.reform(move |text: String| {
            let mut filter = filter.clone();
            change(&mut filter, Some(text).filter(|text| !text.is_empty()));
            filter
        })
    };
    let on_actor = set(|filter, actor| filter.actor = actor.unwrap_or_default());
    let on_range = {
        let filter = filter.clone();
        props.on_filter.reform(move |range| Filter { range, ..filter.clone() })
    };
    let mut actions = vec![(AttrValue::Static(""), i18n.t("audit.any-action"))];
    actions.extend(ACTIONS.iter().map(|action| (AttrValue::Static(action), action_name(&i18n, action))));
    let mut entities = vec![(AttrValue::Static(""), i18n.t("audit.any-entity"))];
    entities.extend(ENTITIES.iter().map(|entity| (AttrValue::Static(entity), entity_name(&i18n, entity))));
    let results = vec![
        (AttrValue::Static(""), i18n.t("audit.any-result")),
        (AttrValue::Static("done"), i18n.t("audit.done")),
        (AttrValue::Static("refused"), i18n.t("audit.refused")),
    ];
    let result = match filter.result {
        None => "",
        Some(AuditResult::Done) => "done",
        Some(AuditResult::Refused) => "refused",
    };
    let on_result = set(|filter, result| {
        filter.result = match result.as_deref() {
            Some("done") => Some(AuditResult::Done),
            Some("refused") => Some(AuditResult::Refused),
            _ => None,
        };
    });
    html! {
        <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
            <Select label={i18n.t("audit.action")} options={actions} value={filter.action.clone().unwrap_or_default()} on_change={set(|filter, action| filter.action = action)} />
            <Select label={i18n.t("audit.entity")} options={entities} value={filter.entity.clone().unwrap_or_default()} on_change={set(|filter, entity| filter.entity = entity)} />
            <Select label={i18n.t("audit.result")} options={results} value={result} on_change={on_result} />
            <SearchField label={i18n.t("audit.actor-id")} value={filter.actor.clone()} on_change={on_actor} />
            <RangePicker range={filter.range.clone()} on_change={on_range} has_interval=false />
        </div>
    }
}

fn columns(i18n: &I18n) -> Vec<Column> {
    vec![
        Column::new(i18n.t("audit.time")),
        Column::new(i18n.t("audit.actor")),
        Column::new(i18n.t("audit.action")),
        Column::new(i18n.t("audit.entity")),
        Column::new(i18n.t("audit.details")),
    ]
}

fn row(i18n: &I18n, entry: &AuditEntry) -> Row {
    let id = entry.entity_id.clone().unwrap_or_default();
    let to = match entry.entity.as_str() {
        "token" => Some(Route::Token { id: id.clone() }),
        "route" => Some(Route::RouteDetail { id: id.clone() }),
        "team" => Some(Route::Team { id: id.clone() }),
        _ => None,
    };
    let subject = match to.filter(|_| !id.is_empty()) {
        Some(to) => html! { <Link<Route> {to}>{ &id }</Link<Route>> },
        None => html! { &id },
    };
    let cells = vec![
        html! { <Time at={entry.at} /> },
        html! { <span title={entry.actor.clone()}>{ entry.actor_name.clone().unwrap_or_else(|| entry.actor.clone()) }</span> },
        html! {
            <span class="tm-labels">
                { action_name(i18n, &entry.action) }
                if entry.result == AuditResult::Refused {
                    <Label label={i18n.t("audit.refused").to_string()} color={Color::Red} compact=true />
                }
            </span>
        },
        html! {
            <>
                { entity_name(i18n, &entry.entity) }
                if let Some(team) = &entry.team_id {
                    <span class="tm-subtle">{ " · " }{ team.to_string() }</span>
                }
                <div class="tm-mono tm-address">{ subject }</div>
            </>
        },
        html! {
            <details class="tm-details">
                <summary>{ i18n.t("audit.show") }</summary>
                { diff(i18n, entry) }
            </details>
        },
    ];
    (entry.id.clone(), cells)
}

fn diff(i18n: &I18n, entry: &AuditEntry) -> Html {
    let changes = changes(entry.before.as_ref(), entry.after.as_ref());
    let unknown = i18n.t("audit.unknown");
    html! {
        <>
            if !changes.is_empty() {
                <dl class="tm-changes">
                    { for changes.iter().map(|(name, before, after)| html! {
                        <div>
                            <dt class="tm-mono">{ name }</dt>
                            <dd>
                                if let Some(before) = before {
                                    <del>{ before }</del>{ " " }
                                }
                                if let Some(after) = after {
                                    <ins>{ after }</ins>
                                }
                            </dd>
                        </div>
                    }) }
                </dl>
            }
            <p class="tm-subtle tm-address">
                { i18n.fill("audit.origin", &[
                    ("ip", entry.client_ip.as_deref().unwrap_or(&unknown)),
                    ("request", &entry.request_id),
                ]) }
            </p>
        </>
    }
}

/// A field with its old and its new value.
type Change = (String, Option<String>, Option<String>);

/// Returns the fields that differ.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let fields = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (fields(before), fields(after));
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| (name.clone(), text(before.get(name)), text(after.get(name))))
        .filter(|(_, before, after)| before != after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_fields_that_differ_are_shown() {
        let found = changes(
            Some(&json!({"name":"a","version":1,"scopes":["x"],"same":true,"gone":null})),
            Some(&json!({"name":"b","version":2,"scopes":["x","y"],"same":true,"new":5})),
        );
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("name".to_owned(), text("a"), text("b")),
                ("new".to_owned(), None, text("5")),
                ("scopes".to_owned(), text(r#"["x"]"#), text(r#"["x","y"]"#)),
                ("version".to_owned(), text("1"), text("2")),
            ]
        );
        assert_eq!(changes(None, Some(&json!({"name":"n"}))), [("name".to_owned(), None, text("n"))]);
    }

    #[test]
    fn every_action_that_can_be_chosen_has_a_name() {
        let i18n = I18n::new(crate::state::preferences::Language::English);
        for action in ACTIONS {
            assert_ne!(action_name(&i18n, action), action, "{action}");
        }
    }
}
