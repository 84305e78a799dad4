//! Revoking a leaked token on the spot, and the proof that the gateway refuses it.

use crate::api::{is_refused, use_api};
use crate::clock;
use crate::components::{Button, CallErrorView, RecentUse};
use crate::config::use_config;
use crate::format;
use crate::hooks::use_action;
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use contract::tokens::{RevokeToken, TokenView};
use domain::time::UnixMs;
use gloo::timers::future::sleep;
use patternfly_yew::prelude::ButtonVariant;
use std::rc::Rc;
use std::time::Duration;
use web_sys::HtmlElement;
use yew::platform::spawn_local;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RevokeNowProps {
    pub token: Rc<TokenView>,
    /// The secret that leaked.
    pub secret: String,
    pub on_close: Callback<()>,
}

/// Asks once, with the focus on the button, and then shows when the gateway refused the secret.
#[component]
pub fn RevokeNow(props: &RevokeNowProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let revoked_at = use_state_eq(|| None::<UnixMs>);
    let id = props.token.id.clone();
    let on_revoked = use_revoked(&props.token, &revoked_at);
    let action = use_action(
        move |()| {
            let (api, id, begun) = (api.clone(), id.clone(), clock::now());
            async move { api.request::<RevokeToken>().path(&[id.as_str()]).send().await.map(|_| begun) }
        },
        on_revoked,
    );
    let button = use_node_ref();
    {
        let button = button.clone();
        use_effect_with((), move |()| {
            let _ = button.cast::<HtmlElement>().map(|button| button.focus());
        });
    }
    let page = Route::Token { id: props.token.id.to_string() };
    let render = Callback::from(|_| html! {});
    html! {
        <div class="tm-form tm-palette__body">
            <h2 class="pf-v6-c-title pf-m-lg tm-address">{ i18n.fill("revoke.title", &[("name", &props.token.name)]) }</h2>
            if let Some(since) = *revoked_at {
                <Proof {since} secret={props.secret.clone()} />
                <p onclick={props.on_close.reform(|_: MouseEvent| ())}><Link<Route> to={page}>{ i18n.t("palette.open-token") }</Link<Route>></p>
            } else {
                <RecentUse token_id={props.token.id.clone()} {render} />
                if let Some(error) = action.error {
                    <CallErrorView {error} />
                }
                <p class="tm-labels">
                    <button ref={button} type="button" class="pf-v6-c-button pf-m-danger" aria-disabled={action.is_busy.then_some("true")} onclick={action.on_run.reform(|_: MouseEvent| ())}>
                        { i18n.t("palette.revoke-now") }
                    </button>
                    <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
                </p>
            }
        </div>
    }
}

/// Returns a callback that shows the token's page in place of the one behind, which is out of date.
#[hook]
fn use_revoked(token: &TokenView, revoked_at: &UseStateHandle<Option<UnixMs>>) -> Callback<UnixMs> {
    let (revoked_at, navigator) = (revoked_at.setter(), use_navigator());
    let page = Route::Token { id: token.id.to_string() };
    Callback::from(move |begun| {
        revoked_at.set(Some(begun));
        if let Some(navigator) = &navigator {
            navigator.push(&page);
        }
    })
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ProofProps {
    /// When the revocation was asked for.
    since: UnixMs,
    secret: String,
}

/// The state of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proven {
    Waiting,
    After { ms: i64 },
    Unknown,
}

const AGAIN: Duration = Duration::from_millis(300);
/// The gateway acts on a change within five seconds of it; the rest is for the way.
const TIMEOUT_MS: i64 = 15_000;

/// Calls the gateway with the revoked secret until it is refused, and says how long that took.
#[component]
fn Proof(props: &ProofProps) -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let proven = use_state_eq(|| Proven::Waiting);
    {
        let (proven, props) = (proven.setter(), props.clone());
        use_effect_with((), move |()| {
            spawn_local(async move {
                let left = || props.since + TIMEOUT_MS > clock::now();
                let mut answer = is_refused(&config.gateway, &props.secret).await;
                while answer == Ok(false) && left() {
                    sleep(AGAIN).await;
                    answer = is_refused(&config.gateway, &props.secret).await;
                }
                let ms = clock::now() - props.since;
                proven.set(if answer == Ok(true) { Proven::After { ms } } else { Proven::Unknown });
            });
        });
    }
    html! { <p role="status">{ said(&i18n, *proven) }</p> }
}

fn said(i18n: &I18n, proven: Proven) -> AttrValue {
    match proven {
        Proven::Waiting => i18n.t("proof.waiting"),
        Proven::After { ms } => i18n.fill("proof.after", &[("time", &format::seconds(i18n, ms))]),
        Proven::Unknown => i18n.t("proof.unknown"),
    }
}
