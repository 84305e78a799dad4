//! The application: preferences, addresses, session, frame and router around every page.

use crate::api::{self, use_api};
use crate::components::{AsyncView, SessionProvider, Shell, ToastProvider};
use crate::config::{Config, PATH};
use crate::hooks::{AsyncState, use_remote};
use crate::pages;
use crate::parts::Part;
use crate::route::Route;
use crate::state::preferences::PreferencesProvider;
use crate::state::session::{use_me, use_session};
use contract::people::{GetMe, Me};
use gloo::timers::callback::Timeout;
use gloo::utils::window;
use patternfly_yew::prelude::PageSection;
use std::rc::Rc;
use yew::platform::spawn_local;
use yew::prelude::*;
use yew_router::prelude::*;

/// Long enough that the first page's own calls go first.
const OTHERS_AFTER_MS: u32 = 3_000;

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
    let (api, route) = (use_api(), use_route::<Route>());
    // Beside the question who is signed in, not after it.
    let for_home = api.clone();
    use_effect_with((), move |()| {
        let part = route.as_ref().map(Part::of);
        if part == Some(Part::Home) {
            pages::home(&for_home).begin();
        }
        spawn_local(async move {
            if let Some(part) = part {
                let _ = part.load().await;
            }
        });
    });
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
        Route::Home => html! { <Redirect<Route> to={Route::Dashboard} /> },
        route => html! { <Page {route} /> },
    });
    html! { <Switch<Route> {render} /> }
}

fn public(route: &Route) -> Html {
    match route {
        Route::SignIn => html! { <pages::SignInPage /> },
        route => html! { <Page route={route.clone()} /> },
    }
}

#[derive(Clone, PartialEq, Properties)]
struct PageProps {
    route: Route,
}

/// Shows a page when its part of the program is there, and fetches the other parts while people read: the next page opens at
/// once, also during a deployment.
#[component]
fn Page(props: &PageProps) -> Html {
    let part = Part::of(&props.route);
    let loaded = use_remote(part, Part::load);
    let is_loaded = loaded.state.ready().is_some_and(|loaded| **loaded == part);
    use_effect_with(is_loaded, |is_loaded| {
        let others = is_loaded.then(|| Timeout::new(OTHERS_AFTER_MS, || spawn_local(load_others())));
        move || drop(others)
    });
    if is_loaded {
        return part.draw(props.route.clone());
    }
    let state = match loaded.state {
        AsyncState::Failed(error) => AsyncState::Failed(error),
        _ => AsyncState::Loading,
    };
    // A part that is missing after a deployment comes with the new page.
    let on_retry = Callback::from(|()| drop(window().location().reload()));
    html! { <PageSection><AsyncView<Part> {state} {on_retry} render={Callback::from(|_| Html::default())} /></PageSection> }
}

async fn load_others() {
    for part in Part::ALL {
        // One that fails is asked for again when it is needed.
        let _ = part.load().await;
    }
}
