//! The audit log: changes and refused attempts, with the person behind each.

mod verify;

pub use verify::AuditVerifyPage;

use crate::api::use_api;
use crate::components::{
    AsyncView, Button, CallErrorView, Column, DataTable, Empty, NotAllowed, Page, Pager, Range, RangePicker,
    Row, SearchField, Select, Time,
};
use crate::download;
use crate::hooks::{use_action, use_debounced, use_paged, use_query};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::session::{may_audit, use_me};
use contract::Page as Items;
use contract::audit::{AuditEntry, AuditQuery, AuditResult, Deed, Entity, ExportAudit, ListAudit};
use domain::audit::chain::Head;
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const STILL_MS: u32 = 250;

/// The filter in the address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    action: Option<Deed>,
    entity: Option<Entity>,
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

/// Returns the deed in the reader's language; a name that only a newer version knows is shown as it is.
pub fn action_name(i18n: &I18n, action: &str) -> AttrValue {
    Deed::parse(action).map_or_else(|| AttrValue::from(action.to_owned()), |deed| deed_name(i18n, deed))
}

fn deed_name(i18n: &I18n, deed: Deed) -> AttrValue {
    match deed {
        Deed::CreateToken => i18n.t("action.create-token"),
        Deed::UpdateToken => i18n.t("action.update-token"),
        Deed::RotateToken => i18n.t("action.rotate-token"),
        Deed::EndSecrets => i18n.t("action.end-secrets"),
        Deed::ExtendToken => i18n.t("action.extend-token"),
        Deed::DisableToken => i18n.t("action.disable-token"),
        Deed::EnableToken => i18n.t("action.enable-token"),
        Deed::RevokeToken => i18n.t("action.revoke-token"),
        Deed::CreateRoute => i18n.t("action.create-route"),
        Deed::UpdateRoute => i18n.t("action.update-route"),
        Deed::DeleteRoute => i18n.t("action.delete-route"),
        Deed::SetCredential => i18n.t("action.set-credential"),
        Deed::ClearCredential => i18n.t("action.clear-credential"),
        Deed::TestRoute => i18n.t("action.test-route"),
        Deed::CreateTeam => i18n.t("action.create-team"),
        Deed::UpdateTeam => i18n.t("action.update-team"),
        Deed::DeleteTeam => i18n.t("action.delete-team"),
        Deed::AddMember => i18n.t("action.add-member"),
        Deed::SetTeamRole => i18n.t("action.set-team-role"),
        Deed::RemoveMember => i18n.t("action.remove-member"),
        Deed::SyncPeople => i18n.t("action.sync-people"),
        Deed::DeleteUser => i18n.t("action.delete-user"),
        Deed::BootstrapAdmin => i18n.t("action.bootstrap-admin"),
        Deed::CreateInvitation => i18n.t("action.create-invitation"),
        Deed::ResendInvitation => i18n.t("action.resend-invitation"),
        Deed::RevokeInvitation => i18n.t("action.revoke-invitation"),
        Deed::AcceptInvitation => i18n.t("action.accept-invitation"),
        Deed::SetPrice => i18n.t("action.set-price"),
        Deed::DeletePrice => i18n.t("action.delete-price"),
        Deed::Reconcile => i18n.t("action.reconcile"),
        Deed::Import => i18n.t("action.import"),
        Deed::CreateKey => i18n.t("action.create-key"),
        Deed::RotateKey => i18n.t("action.rotate-key"),
        Deed::RevokeKey => i18n.t("action.revoke-key"),
        Deed::CreateChannel => i18n.t("action.create-channel"),
        Deed::UpdateChannel => i18n.t("action.update-channel"),
        Deed::DeleteChannel => i18n.t("action.delete-channel"),
        Deed::TestChannel => i18n.t("action.test-channel"),
    }
}

fn entity_name(i18n: &I18n, entity: Entity) -> AttrValue {
    match entity {
        Entity::Token => i18n.t("token.title"),
        Entity::Route => i18n.t("route.title"),
        Entity::Team => i18n.t("team.title"),
        Entity::User => i18n.t("user.title"),
        Entity::Invitation => i18n.t("invitation.title"),
        Entity::Price => i18n.t("price.title"),
        Entity::Publication => i18n.t("publication.title"),
        Entity::Import => i18n.t("import.title"),
        Entity::Key => i18n.t("key.title"),
        Entity::Channel => i18n.t("channel.title"),
    }
}

/// `/audit-logs`
#[component]
pub fn AuditPage() -> Html {
    let i18n = use_i18n();
    if may_audit(&use_me()) {
        html! { <AuditLog /> }
    } else {
        html! { <NotAllowed title={i18n.t("audit.title")} /> }
    }
}

#[component]
fn AuditLog() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let head = use_state_eq(|| None::<Head>);
    let entries = {
        let (api, head) = (api.clone(), head.setter());
        use_paged("pages", asked, move |filter: Filter, cursor| {
            let (api, head) = (api.clone(), head.clone());
            async move {
                let shown = api.request::<ListAudit>().query(&filter.query(cursor)).send().await?;
                head.set(shown.head);
                Ok(shown.page)
            }
        })
    };
    let export = use_action(
        move |query: AuditQuery| {
            let api = api.clone();
            async move { api.request::<ExportAudit>().query(&query).download().await }
        },
        Callback::from(|text: String| download::save_file("audit.csv", "text/csv", &text)),
    );
    let (is_busy, items) = (entries.remote.is_loading, entries.items());
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |page: Rc<Items<AuditEntry>>| {
            let rows: Vec<Row> = page.items.iter().map(|entry| row(&i18n, entry)).collect();
            html! { <DataTable label={i18n.t("audit.title")} columns={columns(&i18n)} {rows} {is_busy} /> }
        })
    };
    let actions = actions(&i18n, &filter, export.is_busy, &export.on_run);
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
            <Pager number={entries.number} {items} on_previous={entries.on_previous} on_next={entries.on_next} />
            if let Some(head) = &*head {
                <p class="tm-subtle">{ i18n.t("audit.chained-up-to") }{ " " }<code class="tm-mono tm-address">{ head.to_string() }</code></p>
            }
        </Page>
    }
}

/// Returns the ways to a file: with the filter, the whole log, and to its check.
fn actions(i18n: &I18n, filter: &Filter, is_busy: bool, on_export: &Callback<AuditQuery>) -> Html {
    let on_shown = {
        let filter = filter.clone();
        on_export.reform(move |_: MouseEvent| filter.clone().query(None))
    };
    let on_whole = on_export.reform(|_: MouseEvent| AuditQuery::default());
    html! {
        <>
            <Link<Route> to={Route::AuditVerify} classes="pf-v6-c-button pf-m-link">{ i18n.t("audit.verify") }</Link<Route>>
            <Button variant={ButtonVariant::Link} label={i18n.t("audit.whole").to_string()} disabled={is_busy} onclick={on_whole} />
            <Button variant={ButtonVariant::Secondary} label={i18n.t("app.csv").to_string()} icon={Icon::Download} loading={is_busy} onclick={on_shown} />
        </>
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
    actions.extend(Deed::ALL.iter().map(|deed| (AttrValue::Static(deed.as_str()), deed_name(&i18n, *deed))));
    let mut entities = vec![(AttrValue::Static(""), i18n.t("audit.any-entity"))];
    entities.extend(
        Entity::ALL.iter().map(|entity| (AttrValue::Static(entity.as_str()), entity_name(&i18n, *entity))),
    );
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
            <Select label={i18n.t("audit.action")} options={actions} value={filter.action.map_or("", Deed::as_str)} on_change={set(|filter, action| filter.action = action.as_deref().and_then(Deed::parse))} />
            <Select label={i18n.t("audit.entity")} options={entities} value={filter.entity.map_or("", Entity::as_str)} on_change={set(|filter, entity| filter.entity = entity.as_deref().and_then(Entity::parse))} />
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
    let entity = Entity::parse(&entry.entity);
    let to = match entity {
        Some(Entity::Token) => Some(Route::Token { id: id.clone() }),
        Some(Entity::Route) => Some(Route::RouteDetail { id: id.clone() }),
        Some(Entity::Team) => Some(Route::Team { id: id.clone() }),
        _ => None,
    };
    let entity =
        entity.map_or_else(|| AttrValue::from(entry.entity.clone()), |entity| entity_name(i18n, entity));
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
                { entity }
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
}
