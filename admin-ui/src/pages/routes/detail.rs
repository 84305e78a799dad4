//! One route.

use super::delete::DeleteRoute;
use super::form::RouteForm;
use super::pool::PoolState;
use super::settings::provider_name;
use super::test_call::TestCall;
use super::{SnippetButtons, credential_label};
use crate::api::use_api;
use crate::components::{AsyncView, Button, CopyButton, Page, Time};
use crate::config::use_config;
use crate::hooks::{use_last_ready, use_remote, use_routes};
use crate::i18n::{I18n, use_i18n};
use crate::pages::usage::{By, UsageFilter};
use crate::route::Route;
use crate::state::session::{can, use_me};
use contract::routes::{GetRoute, RouteView, UpstreamView};
use domain::id::RouteId;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RoutePageProps {
    pub id: String,
}

/// `/routes/:id`
#[component]
pub fn RoutePage(props: &RoutePageProps) -> Html {
    let i18n = use_i18n();
    let (api, me, config) = (use_api(), use_me(), use_config());
    let shown = use_remote(props.id.clone(), move |id| {
        let api = api.clone();
        async move { api.request::<GetRoute>().path(&[&id]).send().await }
    });
    let (is_editing, is_deleting) = (use_state_eq(|| false), use_state_eq(|| false));
    let set = |state: &UseStateHandle<bool>, value: bool| {
        let state = state.setter();
        Callback::from(move |()| state.set(value))
    };
    let route = shown.state.ready().cloned();
    let may = |action| can(&me, action, Subject::default());
    let actions = html! {
        if route.is_some() {
            if may(Action::WriteRoute) {
                <Button variant={ButtonVariant::Primary} label={i18n.t("routes.edit").to_string()} onclick={set(&is_editing, true).reform(|_| ())} />
            }
            if may(Action::DeleteRoute) {
                <Button variant={ButtonVariant::DangerSecondary} label={i18n.t("routes.delete").to_string()} onclick={set(&is_deleting, true).reform(|_| ())} />
            }
        }
    };
    let may_test = may(Action::TestRoute);
    let routes = use_routes().state.ready().cloned().unwrap_or_default();
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |route: Rc<RouteView>| {
            html! {
                <div class="tm-stack">
                    { summary(&i18n, &route, &config.gateway, &routes) }
                    if may_test {
                        <TestCall route={Rc::clone(&route)} />
                    }
                </div>
            }
        })
    };
    let last = use_last_ready(&shown.state);
    let title = route.as_ref().map_or_else(|| i18n.t("route.title"), |route| route.name.clone().into());
    let parent = html! { <Link<Route> to={Route::Routes}>{ i18n.t("routes.title") }</Link<Route>> };
    html! {
        <Page {title} {parent} {actions}>
            <AsyncView<RouteView> state={shown.state} on_retry={shown.on_refresh.clone()} {render} />
            if let Some(route) = last {
                if *is_editing {
                    <RouteForm route={Rc::clone(&route)} on_close={set(&is_editing, false)} on_changed={shown.on_refresh.clone()} />
                }
                if *is_deleting {
                    <DeleteRoute {route} on_close={set(&is_deleting, false)} />
                }
            }
        </Page>
    }
}

fn summary(i18n: &I18n, route: &RouteView, gateway: &str, routes: &[RouteView]) -> Html {
    let url = format!("{gateway}{}", route.path.as_str());
    let query =
        UsageFilter { route: Some(route.id.to_string()), by: Some(By::Token), ..UsageFilter::default() };
    let methods = if route.methods.is_empty() {
        i18n.t("route.all-methods").to_string()
    } else {
        route.methods.join(", ")
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("route.title") }</CardTitle>
            <CardBody>
                <DescriptionList mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                    <DescriptionGroup term={i18n.t("route.state")}>
                        if route.enabled {
                            <Label label={i18n.t("route.is-enabled").to_string()} color={Color::Green} icon={Icon::CheckCircle} compact=true />
                        } else {
                            <Label label={i18n.t("standing.disabled").to_string()} compact=true />
                        }
                    </DescriptionGroup>
                    if let Some(maintenance) = &route.maintenance {
                        <DescriptionGroup term={i18n.t("route.maintenance")}>
                            <Label label={i18n.t("route.closed").to_string()} color={Color::Orange} icon={Icon::ExclamationTriangle} compact=true />
                            { " " }{ &maintenance.message }
                        </DescriptionGroup>
                    }
                    <DescriptionGroup term={i18n.t("route.url")}>
                        <code class="tm-address">{ &url }</code>
                        <CopyButton text={url.clone()} label={i18n.t("route.copy-url")} />
                    </DescriptionGroup>
                    if let Some(description) = &route.description {
                        <DescriptionGroup term={i18n.t("route.description")}>{ description }</DescriptionGroup>
                    }
                    <DescriptionGroup term={i18n.t("route.methods")}>{ methods }</DescriptionGroup>
                    if !route.tags.is_empty() {
                        <DescriptionGroup term={i18n.t("route.tags")}>
                            <span class="tm-labels">
                                { for route.tags.iter().map(|tag| html! { <Label label={tag.clone()} color={Color::Blue} compact=true /> }) }
                            </span>
                        </DescriptionGroup>
                    }
                    if let Some(upstream) = &route.upstream {
                        { upstream_groups(i18n, route, upstream, routes) }
                    }
                    <DescriptionGroup term={i18n.t("route.created")}><Time at={route.created_at} /></DescriptionGroup>
                    <DescriptionGroup term={i18n.t("route.changed")}><Time at={route.updated_at} /></DescriptionGroup>
                    <DescriptionGroup term={i18n.t("route.use")}>
                        <span class="tm-labels tm-snippets">
                            <SnippetButtons route={route.clone()} />
                            <Link<Route, UsageFilter> to={Route::Usage} {query}>{ i18n.t("token.see-usage") }</Link<Route, UsageFilter>>
                        </span>
                    </DescriptionGroup>
                </DescriptionList>
            </CardBody>
        </Card>
    }
}

/// The part of the summary that only the core team sees.
fn upstream_groups(i18n: &I18n, route: &RouteView, upstream: &UpstreamView, routes: &[RouteView]) -> Html {
    let name = |id: &RouteId| {
        routes.iter().find(|route| route.id == *id).map_or_else(|| id.to_string(), |route| route.name.clone())
    };
    html! {
        <>
            <DescriptionGroup term={i18n.t("route.backend")}>
                <code class="tm-address">{ &upstream.backend_url }</code>
                <CopyButton text={upstream.backend_url.clone()} label={i18n.t("route.copy-backend")} />
            </DescriptionGroup>
            <DescriptionGroup term={i18n.t("route.credential")}>
                { credential_label(i18n, route) }
                if let Some(credential) = &upstream.credential {
                    { " " }<span class="tm-subtle">{ i18n.t("credential.set-at") }{ " " }<Time at={credential.updated_at} /></span>
                    if let Some(pool) = credential.pool.clone() {
                        <PoolState route={route.id.clone()} {pool} />
                    }
                }
            </DescriptionGroup>
            if let Some(ai) = &upstream.settings.ai {
                <DescriptionGroup term={i18n.t("route.ai")}>{ provider_name(i18n, ai.provider) }</DescriptionGroup>
            }
            if upstream.settings.retry_within_s > 0 {
                <DescriptionGroup term={i18n.t("route.retry")}>{ upstream.settings.retry_within_s }</DescriptionGroup>
            }
            if let Some(failover) = &upstream.settings.failover {
                <DescriptionGroup term={i18n.t("route.failover")}>
                    <span title={failover.route_id.to_string()}>
                        <Link<Route> to={Route::RouteDetail { id: failover.route_id.to_string() }}>{ name(&failover.route_id) }</Link<Route>>
                    </span>
                </DescriptionGroup>
            }
        </>
    }
}
