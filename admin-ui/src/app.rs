//! Wraps every page in what it needs: preferences, addresses, frame and router.

use crate::api;
use crate::components::{AsyncView, Shell};
use crate::config::{Config, PATH};
use crate::hooks::{AsyncState, use_remote};
use crate::pages::{HealthPage, NotFoundPage};
use crate::route::Route;
use crate::state::preferences::PreferencesProvider;
use patternfly_yew::prelude::PageSection;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[component]
pub fn App() -> Html {
    html! {
        <PreferencesProvider>
            <BrowserRouter>
                <Shell>
                    <Configured />
                </Shell>
            </BrowserRouter>
        </PreferencesProvider>
    }
}

/// No page is shown before the addresses are known.
#[component]
fn Configured() -> Html {
    let config = use_remote((), |()| api::get_json::<Config>(PATH.to_owned()));
    let render = Callback::from(|config: Rc<Config>| {
        html! {
            <ContextProvider<Rc<Config>> context={config}>
                <Switch<Route> render={page} />
            </ContextProvider<Rc<Config>>>
        }
    });
    let is_ready = matches!(config.state, AsyncState::Ready(_));
    let view = html! { <AsyncView<Config> state={config.state} on_retry={config.on_refresh} {render} /> };
    // Pages bring sections of their own.
    if is_ready {
        view
    } else {
        html! { <PageSection>{ view }</PageSection> }
    }
}

fn page(route: Route) -> Html {
    match route {
        Route::Home => html! { <Redirect<Route> to={Route::SystemHealth} /> },
        Route::SystemHealth => html! { <HealthPage /> },
        Route::NotFound => html! { <NotFoundPage /> },
    }
}
