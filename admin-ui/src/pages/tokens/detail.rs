//! One token: its summary, limits, secrets and tester.

use super::derived::Derived;
use super::dialogs::{Disable, Extend, Revoke, Rotate};
use super::edit::EditToken;
use super::hints::Hints;
use super::may_change;
use super::rotation::Rotation;
use super::tester::Tester;
use crate::api::{Api, CallError, use_api};
use crate::clock;
use crate::components::{
    AsyncView, Button, CallErrorView, Column, CopyButton, DataTable, LimitUses, Menu, MenuItem, Page,
    ScopeLabel, Standing, StandingLabel, Time, Workflows, is_stale, name_of,
};
use crate::format;
use crate::hooks::{
    Action, setter, team_name, use_action, use_interval_while_visible, use_last_ready, use_remote,
    use_routes, use_teams,
};
use crate::i18n::{I18n, use_i18n};
use crate::pages::usage::UsageFilter;
use crate::route::Route;
use crate::state::session::use_me;
use crate::state::toasts::{Toast, Tone, saved, use_full_toast};
use contract::limits::{GetTokenLimits, TokenLimits};
use contract::routes::RouteView;
use contract::teams::TeamView;
use contract::tokens::{
    DisableToken, EnableToken, GetToken, ListTokenSecrets, SecretView, TokenChanged, TokenView,
};
use contract::usage::{GetUsageStats, UsageQuery};
use contract::{Page as Items, Propagation};
use domain::access::record::TokenState;
use domain::time::HOUR_MS;
use patternfly_yew::prelude::{
    Breakpoint, ButtonVariant, Card, CardBody, CardTitle, Color, DescriptionGroup, DescriptionList,
    DescriptionListMode, Icon, Label, WithBreakpointExt,
};
use serde::Deserialize;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TokenPageProps {
    pub id: String,
}

type Shown = (Rc<TokenView>, Items<SecretView>, TokenLimits);

async fn read(api: &Api, id: &str) -> Result<Shown, CallError> {
    let token = api.request::<GetToken>().path(&[id]).send().await?;
    let secrets = api.request::<ListTokenSecrets>().path(&[id]).send().await?;
    let limits = api.request::<GetTokenLimits>().path(&[id]).send().await?;
    Ok((Rc::new(token), secrets, limits))
}

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Asked {
    /// The dialog to open at once.
    #[serde(default)]
    act: Option<Open>,
}

/// The dialog that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Open {
    Edit,
    Rotate,
    Extend,
    Disable,
    Revoke,
}

/// Keeps which dialog is open; the address may ask for one.
#[hook]
fn use_open(id: &str) -> UseStateHandle<Option<Open>> {
    let location = use_location();
    let asked = location.as_ref().and_then(|location| location.query::<Asked>().ok()).unwrap_or_default();
    let open = use_state_eq(|| None::<Open>);
    let setter = open.setter();
    // The same address counts again when somebody goes there again.
    let visit = location.and_then(|location| location.id());
    use_effect_with((id.to_owned(), visit, asked), move |(_, _, asked)| {
        if asked.act.is_some() {
            setter.set(asked.act);
        }
    });
    open
}

/// `/tokens/:id`
#[component]
pub fn TokenPage(props: &TokenPageProps) -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let shown = {
        let api = api.clone();
        use_remote(props.id.clone(), move |id| {
            let api = api.clone();
            async move { read(&api, &id).await }
        })
    };
    let (routes, teams) = (use_routes(), use_teams());
    let open = use_open(&props.id);
    let on_refresh = shown.on_refresh.clone();
    // During the grace of an old secret, the page shows live which secrets are still in use.
    let is_followed = open.is_none() && shown.state.ready().is_some_and(|shown| has_grace(&shown.1.items));
    use_interval_while_visible(FOLLOW_MS, if is_followed { on_refresh.clone() } else { Callback::noop() });
    let switch = use_switch(&props.id, on_refresh.clone());
    let token = shown.state.ready().map(|shown| Rc::clone(&shown.0));
    let known_routes = routes.state.ready().cloned().unwrap_or_default();
    let on_open = setter(&open);
    let actions = token.as_ref().filter(|token| may_change(&me, token) && token.state != TokenState::Revoked).map(|token| {
        html! { <Actions token={Rc::clone(token)} on_open={on_open.clone()} on_enable={switch.on_run.reform(|()| true)} /> }
    });
    let parent = html! { <Link<Route> to={Route::Tokens}>{ i18n.t("tokens.title") }</Link<Route>> };
    let title = token.as_ref().map_or_else(|| i18n.t("token.title"), |token| token.name.clone().into());
    let team = token
        .as_ref()
        .and_then(|token| teams.state.ready()?.iter().find(|team| team.id == token.team_id).cloned());
    let cap = team.as_ref().and_then(|team| team.scope_cap.clone());
    let defaults = team.map(|team| team.limits).unwrap_or_default();
    let render = {
        let (i18n, routes, cap) = (i18n.clone(), Rc::clone(&known_routes), cap.clone());
        let (me, on_refresh) = (Rc::clone(&me), on_refresh.clone());
        let teams_known = teams.state.ready().cloned().unwrap_or_default();
        let is_ready = routes_and_teams_are_ready(&routes, teams.state.ready().is_some());
        Callback::from(move |shown: Rc<Shown>| {
            html! {
                <div class="tm-stack">
                    <Rotation token={Rc::clone(&shown.0)} secrets={shown.1.items.clone()} may_end={may_change(&me, &shown.0)} on_changed={on_refresh.clone()} />
                    { summary(&i18n, shown.as_ref(), &routes, &teams_known) }
                    if is_ready {
                        <Hints token={Rc::clone(&shown.0)} routes={Rc::clone(&routes)} />
                    }
                    { limits(&i18n, &shown.2) }
                    { secrets(&i18n, &shown.1.items) }
                    <Workflows token_id={shown.0.id.clone()} />
                    <Derived token={Rc::clone(&shown.0)} />
                    if is_ready {
                        <Tester token={Rc::clone(&shown.0)} routes={Rc::clone(&routes)} cap={cap.clone()} limits={shown.2.clone()} />
                    }
                </div>
            }
        })
    };
    let token = use_last_ready(&shown.state).map(|shown| Rc::clone(&shown.0));
    let token = token.filter(|token| may_change(&me, token) && token.state != TokenState::Revoked);
    let dialog = token.zip(*open).map(|(token, open)| {
        let (routes, on_close, on_changed) =
            (Rc::clone(&known_routes), on_open.reform(|()| None), on_refresh.clone());
        match open {
            Open::Edit => html! { <EditToken {token} {routes} {cap} {defaults} {on_close} {on_changed} /> },
            Open::Rotate => html! { <Rotate {token} {routes} {on_close} {on_changed} /> },
            Open::Extend => html! { <Extend {token} {routes} {on_close} {on_changed} /> },
            Open::Disable => {
                html! { <Disable {token} {on_close} on_disable={switch.on_run.reform(|()| false)} /> }
            }
            Open::Revoke => html! { <Revoke {token} {routes} {on_close} {on_changed} /> },
        }
    });
    html! {
        <Page {title} {parent} actions={actions.unwrap_or_default()}>
            if let Some(error) = switch.error {
                <CallErrorView {error} />
            }
            <AsyncView<Shown> state={shown.state} on_retry={on_refresh} {render} />
            { dialog.unwrap_or_default() }
        </Page>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ActionsProps {
    token: Rc<TokenView>,
    on_open: Callback<Option<Open>>,
    on_enable: Callback<()>,
}

/// Enables or disables a token. Disabling tells how many calls it stops, and can be undone.
#[hook]
fn use_switch(id: &str, on_changed: Callback<()>) -> Action<bool> {
    let (api, i18n, toast) = (use_api(), use_i18n(), use_full_toast());
    let on_undo = use_mut_ref(Callback::<bool>::default);
    let on_done = {
        let on_undo = Rc::clone(&on_undo);
        Callback::from(move |(changed, calls): (TokenChanged, Option<u64>)| {
            let is_disabled = changed.token.state == TokenState::Disabled;
            let (tone, text) = match (changed.propagation, is_disabled, calls) {
                (Propagation::Pending, ..) => saved(&i18n, Propagation::Pending),
                (_, false, _) => (Tone::Success, i18n.t("tokens.enabled")),
                (_, true, None) => (Tone::Success, i18n.t("tokens.disabled")),
                (_, true, Some(calls)) => {
                    let calls = format::number(&i18n, calls);
                    (Tone::Success, i18n.fill("tokens.disabled-calls", &[("calls", &calls)]))
                }
            };
            let on_undo = is_disabled.then(|| on_undo.borrow().reform(|()| true));
            toast.emit(Toast { tone, text, on_undo });
            on_changed.emit(());
        })
    };
    let id = id.to_owned();
    let action = use_action(
        move |is_enabled: bool| {
            let (api, id) = (api.clone(), id.clone());
            async move {
                if is_enabled {
                    let changed = api.request::<EnableToken>().path(&[&id]).send().await?;
                    return Ok((changed, None));
                }
                let changed = api.request::<DisableToken>().path(&[&id]).send().await?;
                // Unknown if it cannot be read.
                let query = UsageQuery {
                    token_id: Some(id.as_str().into()),
                    from: Some((clock::now() - HOUR_MS).to_string()),
                    ..UsageQuery::default()
                };
                let stats = api.request::<GetUsageStats>().query(&query).send().await.ok();
                Ok((changed, stats.map(|stats| stats.total.calls)))
            }
        },
        on_done,
    );
    on_undo.replace(action.on_run.clone());
    action
}

/// The buttons of a token that can be changed.
#[component]
fn Actions(props: &ActionsProps) -> Html {
    let i18n = use_i18n();
    let is_active = props.token.state == TokenState::Active;
    let open = |dialog: Open| props.on_open.reform(move |()| Some(dialog));
    let (label, icon, on_switch) = if is_active {
        (i18n.t("tokens.disable"), "fas fa-pause-circle", open(Open::Disable))
    } else {
        (i18n.t("tokens.enable"), "fas fa-play-circle", props.on_enable.clone())
    };
    html! {
        <>
            <Button variant={ButtonVariant::Primary} label={i18n.t("tokens.edit").to_string()} onclick={open(Open::Edit).reform(|_| ())} />
            <Button variant={ButtonVariant::Secondary} label={i18n.t("tokens.rotate").to_string()} onclick={open(Open::Rotate).reform(|_| ())} />
            <Menu label={i18n.t("app.more")} toggle={html! { <i class="fas fa-ellipsis-v" aria-hidden="true" /> }}>
                <MenuItem text={i18n.t("tokens.extend")} icon="fas fa-hourglass-half" on_choose={open(Open::Extend)} />
                <MenuItem text={label} {icon} on_choose={on_switch} />
                <MenuItem text={i18n.t("tokens.revoke")} icon="fas fa-ban" is_danger=true on_choose={open(Open::Revoke)} />
            </Menu>
        </>
    }
}

/// The tester needs both: without the team's scope cap it would allow too much.
fn routes_and_teams_are_ready(routes: &[RouteView], teams: bool) -> bool {
    !routes.is_empty() && teams
}

/// The state, and until when a budget that is used up refuses calls.
fn state(i18n: &I18n, token: &TokenView, limits: &TokenLimits) -> Html {
    let standing = Standing::of(token, clock::now());
    let uses = limits.uses.iter().chain(&limits.team_uses).flatten();
    let over = uses
        .filter(|one| one.kind.measure().is_budget() && one.refuses(true))
        .max_by_key(|one| one.resets_at);
    let over = over.filter(|_| matches!(standing, Standing::Active | Standing::EndsSoon));
    html! {
        <span class="tm-labels">
            <StandingLabel {standing} />
            if let Some(over) = over {
                <Label label={i18n.fill("standing.over-budget", &[("when", &format::date_time(i18n, over.resets_at))]).to_string()} color={Color::Orange} icon={Icon::ExclamationTriangle} compact=true />
            }
        </span>
    }
}

fn summary(i18n: &I18n, shown: &Shown, routes: &[RouteView], teams: &[TeamView]) -> Html {
    let (token, _, limits) = shown;
    let scopes = token.scopes.iter().map(|scope| {
        html! { <ScopeLabel scope={name_of(scope, routes)} is_stale={!routes.is_empty() && is_stale(scope, routes)} /> }
    });
    let id = token.id.to_string();
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("token.title") }</CardTitle>
            <CardBody>
                <DescriptionList mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                    <DescriptionGroup term={i18n.t("token.state")}>
                        { state(i18n, token, limits) }
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("token.team")}>
                        <span title={token.team_id.to_string()}>
                            <Link<Route> to={Route::Team { id: token.team_id.to_string() }}>{ team_name(teams, &token.team_id) }</Link<Route>>
                        </span>
                    </DescriptionGroup>
                    if let Some(description) = &token.description {
                        <DescriptionGroup term={i18n.t("token.description")}>{ description }</DescriptionGroup>
                    }
                    <DescriptionGroup term={i18n.t("token.scopes")}><span class="tm-labels">{ for scopes }</span></DescriptionGroup>
                    if !token.ip_allow.is_empty() {
                        <DescriptionGroup term={i18n.t("token.ip-allow")}><code>{ token.ip_allow.join(", ") }</code></DescriptionGroup>
                    }
                    if token.inject_faults {
                        <DescriptionGroup term={i18n.t("token.faults")}>{ i18n.t("token.faults-on") }</DescriptionGroup>
                    }
                    <DescriptionGroup term={i18n.t("token.expires")}>
                        { token.expires_at.map_or_else(|| html! { i18n.t("token.never-expires") }, |at| html! { <Time {at} is_end=true /> }) }
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("token.created")}><Time at={token.created_at} /></DescriptionGroup>
                    <DescriptionGroup term={i18n.t("token.last-used")}>
                        { token.last_used_at.map_or_else(|| html! { i18n.t("token.never-used") }, |at| html! { <Time {at} /> }) }
                        { " · " }
                        <Link<Route, UsageFilter> to={Route::Usage} query={UsageFilter::of_token(&id)}>{ i18n.t("token.see-usage") }</Link<Route, UsageFilter>>
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("token.id")}>
                        <code class="tm-address">{ &id }</code>
                        <CopyButton text={id.clone()} label={i18n.t("token.copy-id")} />
                    </DescriptionGroup>
                </DescriptionList>
            </CardBody>
        </Card>
    }
}

fn limits(i18n: &I18n, limits: &TokenLimits) -> Html {
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("limit.title") }</CardTitle>
            <CardBody><LimitUses limits={limits.clone()} /></CardBody>
        </Card>
    }
}

/// How often the secrets are read again during the grace of one.
const FOLLOW_MS: u32 = 3_000;

fn has_grace(secrets: &[SecretView]) -> bool {
    secrets.iter().any(|secret| secret.ends_at.is_some_and(|end| end > clock::now()))
}

fn secrets(i18n: &I18n, secrets: &[SecretView]) -> Html {
    let columns =
        [i18n.t("secret.hint"), i18n.t("token.created"), i18n.t("secret.last-used"), i18n.t("secret.ends")]
            .map(Column::new);
    let rows: Vec<_> = secrets
        .iter()
        .map(|secret| {
            let hint = format!("{}…{}", secret.hint.start, secret.hint.end);
            let cells = vec![
                html! {
                    <>
                        <code>{ &hint }</code>
                        if secret.legacy {
                            { " " }<Label label={i18n.t("secret.legacy").to_string()} compact=true />
                        }
                    </>
                },
                html! { <Time at={secret.created_at} /> },
                match secret.last_used_at {
                    Some(at) => html! { <Time {at} is_relative=true /> },
                    None => html! { i18n.t("secret.not-used") },
                },
                match secret.ends_at {
                    Some(at) if at <= clock::now() => html! { i18n.t("secret.ended") },
                    Some(at) => html! { <Time {at} is_end=true /> },
                    None => html! { i18n.t("secret.with-token") },
                },
            ];
            (hint, cells)
        })
        .collect();
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("secret.title") }</CardTitle>
            <CardBody><DataTable label={i18n.t("secret.title")} columns={columns.to_vec()} {rows} /></CardBody>
        </Card>
    }
}
