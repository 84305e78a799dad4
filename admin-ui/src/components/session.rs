//! Providers of the session. Nothing inside them is drawn before the session is known.

use super::AsyncView;
use crate::api::{Api, CallError, Reason};
use crate::clerk;
use crate::clock;
use crate::config::use_config;
use crate::hooks::use_remote;
use crate::state::session::{ChangeSession, Session, SessionHandle, close};
use std::rc::Rc;
use web_sys::wasm_bindgen::prelude::*;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SessionProviderProps {
    pub children: Html,
}

/// Gives everything inside it the session, and the API in that session.
#[component]
pub fn SessionProvider(props: &SessionProviderProps) -> Html {
    let config = use_config();
    let key = config.clerk_key();
    let is_clerk = key.is_some();
    let session = use_reducer(|| if is_clerk { Session::default() } else { Session::load(clock::now()) });
    let on_refused = {
        let dispatcher = session.dispatcher();
        use_callback(is_clerk, move |(), is_clerk| {
            dispatcher.dispatch(ChangeSession::Expired);
            close(*is_clerk);
        })
    };
    let api = Api::new(&config.api, session.pass.clone(), on_refused);
    html! {
        <ContextProvider<SessionHandle> context={session}>
            <ContextProvider<Api> context={api}>
                if let Some(publishable_key) = key {
                    <Clerk {publishable_key}>{ props.children.clone() }</Clerk>
                } else {
                    { props.children.clone() }
                }
            </ContextProvider<Api>>
        </ContextProvider<SessionHandle>>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ClerkProps {
    publishable_key: Rc<str>,
    children: Html,
}

/// Draws its children once Clerk has said whether somebody is signed in.
#[component]
fn Clerk(props: &ClerkProps) -> Html {
    let session = use_context::<SessionHandle>();
    let loading = use_remote(props.publishable_key.clone(), move |key: Rc<str>| {
        let dispatcher = session.as_ref().map(UseReducerHandle::dispatcher);
        let on_session = move |id: Option<String>| {
            if let Some(dispatcher) = &dispatcher {
                dispatcher.dispatch(ChangeSession::Clerk(id.map(Rc::from)));
            }
        };
        async move {
            // Clerk calls it for as long as the page is open.
            let heard = Closure::<dyn Fn(Option<String>)>::new(on_session.clone()).into_js_value();
            let id = clerk::load(&key, heard).await.map_err(|address| CallError {
                url: address.as_string().unwrap_or_default(),
                reason: Reason::Unreachable,
            })?;
            on_session(id.as_string());
            Ok(())
        }
    });
    let children = props.children.clone();
    let render = Callback::from(move |_: Rc<()>| children.clone());
    html! { <AsyncView<()> state={loading.state} on_retry={loading.on_refresh} {render} /> }
}
