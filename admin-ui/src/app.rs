//! The application: preferences, addresses, session, frame and router around every page.

use crate::api::{self, use_api};
use crate::components::{AsyncView, SessionProvider, Shell, ToastProvider};
use crate::config::{Config, PATH};
use crate::hooks::{AsyncState, use_remote};
use crate::pages;
use crate::route::Route;
use crate::state::preferences::PreferencesProvider;
use crate::state::session::{use_me, use_session};
use contract::people::{GetMe, Me};
use patternfly_yew::prelude::PageSection;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

/// The whole application.
#[component]
pub fn App() -> Html {
    html! {
        <PreferencesProvider>
            <BrowserRouter>
                <ToastProvider>
                    <Configured />
                </ToastProvider>
            </BrowserRouter>
        </PreferencesProvider>
    }
}

/// Reads the addresses of the services, and shows nothing before that.
#[component]
fn Configured() -> Html {
    let config = use_remote((), |()| api::get_json::<Config>(PATH.to_owned()));
    let render = Callback::from(|config: Rc<Config>| {
        html! {
            <ContextProvider<Rc<Config>> context={config}>
                <SessionProvider><Identified /></SessionProvider>
            </ContextProvider<Rc<Config>>>
        }
    });
    let is_ready = matches!(config.state, AsyncState::Ready(_));
    let view = html! { <AsyncView<Config> state={config.state} on_retry={config.on_refresh} {render} /> };
    if is_ready {
        view
    } else {
        html! { <PageSection>{ view }</PageSection> }
    }
}

/// Draws the application again for each session.
#[component]
fn Identified() -> Html {
    let session = use_session();
    match session.pass {
        Some(pass) => html! { <SignedIn key={pass.key().to_owned()} /> },
        None => html! { <Shell><Switch<Route> render={|route: Route| signed_out(&route)} /></Shell> },
    }
}

fn signed_out(route: &Route) -> Html {
    if route.is_public() {
        public(route)
    } else {
        html! { <pages::SignInPage /> }
    }
}

/// Reads who is signed in, and draws the frame around their pages.
#[component]
fn SignedIn() -> Html {
    let api = use_api();
    let me = use_remote((), move |()| {
        let api = api.clone();
        async move { api.request::<GetMe>().send().await }
    });
    let render = Callback::from(|me: Rc<Me>| {
        html! {
            <ContextProvider<Rc<Me>> context={me}>
                <Shell><Member /></Shell>
            </ContextProvider<Rc<Me>>>
        }
    });
    let is_ready = matches!(me.state, AsyncState::Ready(_));
    let view = html! { <AsyncView<Me> state={me.state} on_retry={me.on_refresh} {render} /> };
    if is_ready {
        view
    } else {
        html! { <Shell><PageSection>{ view }</PageSection></Shell> }
    }
}

/// Draws the pages of a member. A person without a team sees the waiting page at every address.
#[component]
fn Member() -> Html {
    let is_member = !use_me().memberships.is_empty();
    let render = Callback::from(move |route: Route| match route {
        Route::SignIn => html! { <Redirect<Route> to={Route::Dashboard} /> },
        route if route.is_public() => public(&route),
        _ if !is_member => html! { <pages::WaitingPage /> },
        route => page(route),
    });
    html! { <Switch<Route> {render} /> }
}

fn public(route: &Route) -> Html {
    match route {
        Route::SignIn => html! { <pages::SignInPage /> },
        Route::SystemHealth => html! { <pages::HealthPage /> },
        Route::AuditVerify => html! { <pages::AuditVerifyPage /> },
        _ => html! { <pages::NotFoundPage /> },
    }
}

/// Shows a page. Pages of one thing have its id as their key: nothing that belongs to one may stay on the page of another.
fn page(route: Route) -> Html {
    match route {
        Route::Home => html! { <Redirect<Route> to={Route::Dashboard} /> },
        Route::Dashboard => html! { <pages::DashboardPage /> },
        Route::UsageAnalytics => html! { <pages::UsageAnalyticsPage /> },
        Route::TokenUsageList => html! { <pages::TokenUsageListPage /> },
        Route::TokenUsage { id } => html! { <pages::TokenUsagePage key={id.as_str()} id={id.clone()} /> },
        Route::RouteUsageList => html! { <pages::RouteUsageListPage /> },
        Route::RouteUsage => html! { <pages::RouteUsagePage /> },
        Route::Stats => html! { <pages::StatsPage /> },
        Route::Teams => html! { <pages::TeamsPage /> },
        Route::Team { id } => html! { <pages::TeamPage key={id.as_str()} id={id.clone()} /> },
        Route::Users => html! { <pages::UsersPage /> },
        Route::Import => html! { <pages::ImportPage /> },
        Route::AuditLogs => html! { <pages::AuditPage /> },
        Route::Tokens => html! { <pages::TokensPage /> },
        Route::Token { id } => html! { <pages::TokenPage key={id.as_str()} id={id.clone()} /> },
        Route::Routes => html! { <pages::RoutesPage /> },
        Route::RouteDetail { id } => html! { <pages::RoutePage key={id.as_str()} id={id.clone()} /> },
        other => public(&other),
    }
}
