//! A token that was just made, shown once.

use crate::components::{Button, CopyButton, Dialog, Notice, SnippetTabs, opened};
use crate::config::use_config;
use crate::i18n::use_i18n;
use crate::pages::routes::example_of;
use crate::snippets::Example;
use crate::state::toasts::{Tone, saved, use_toast};
use contract::routes::RouteView;
use contract::tokens::TokenCreated;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// The making of one token.
#[derive(Clone)]
pub struct Made {
    pub created: Option<TokenCreated>,
    /// One key for all tries of a form, so that a second try makes no second token.
    pub key: Rc<String>,
    pub on_done: Callback<TokenCreated>,
}

/// Keeps the token that a form made, to be shown by [`Reveal`].
#[hook]
pub fn use_made(on_created: &Callback<()>, on_close: &Callback<()>) -> Made {
    let (i18n, toast) = (use_i18n(), use_toast());
    let made = use_state_eq(|| None::<TokenCreated>);
    let key = use_memo((), |()| {
        gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default()
    });
    let created = (*made).clone();
    let (on_created, on_close) = (on_created.clone(), on_close.clone());
    let on_done = Callback::from(move |created: TokenCreated| {
        on_created.emit(());
        toast.emit(saved(&i18n, created.propagation));
        if created.token.is_some() {
            made.set(Some(created));
        } else {
            // An earlier try made the token although it seemed to fail; its secret cannot be shown again.
            toast.emit((Tone::Warning, i18n.t("tokens.made-before")));
            on_close.emit(());
        }
    });
    Made { created, key, on_done }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RevealProps {
    pub created: TokenCreated,
    pub routes: Rc<Vec<RouteView>>,
    pub on_close: Callback<()>,
}

/// The plain text, once. Only memory and the screen hold it, and both lose it with this dialog. So the
/// dialog closes only after the token was copied, by a button or by hand.
#[component]
pub fn Reveal(props: &RevealProps) -> Html {
    let i18n = use_i18n();
    let config = use_config();
    let (is_kept, is_warned) = (use_state_eq(|| false), use_state_eq(|| false));
    let on_kept = {
        let is_kept = is_kept.setter();
        Callback::from(move |()| is_kept.set(true))
    };
    let on_close = {
        let (is_kept, is_warned, on_close) = (*is_kept, is_warned.setter(), props.on_close.clone());
        Callback::from(move |()| if is_kept { on_close.emit(()) } else { is_warned.set(true) })
    };
    let token = AttrValue::from(props.created.token.clone().unwrap_or_default());
    let route = opened(&props.created.view.scopes, &props.routes).first().map(|(route, _)| *route);
    let path = route.map_or("/api/…", |route| route.path.as_str());
    let name = route.map_or_else(AttrValue::default, |route| route.name.clone().into());
    let example = route.map_or_else(|| Example::root("GET"), example_of);
    let footer = html! {
        <>
            <div class="tm-dialog__alert">
                if *is_warned && !*is_kept {
                    <Notice tone={Tone::Warning} title={i18n.t("reveal.copy-first")} role="alert" />
                }
            </div>
            <Button
                variant={ButtonVariant::Primary}
                label={i18n.t("app.done").to_string()}
                disabled={!*is_kept}
                onclick={props.on_close.reform(|_| ())}
            />
        </>
    };
    html! {
        <Dialog title={i18n.t("reveal.title")} {footer} {on_close} is_wide=true has_close=false>
            <div class="tm-form">
                <p>{ i18n.fill("reveal.advice", &[("name", &props.created.view.name)]) }</p>
                <div class="tm-secret">
                    <code data-secret="true" oncopy={on_kept.reform(|_: Event| ())}>{ &token }</code>
                    <CopyButton text={&token} label={i18n.t("reveal.copy")} caption={i18n.t("copy.copy")} on_copied={on_kept.clone()} is_first=true />
                </div>
                <SnippetTabs {name} url={format!("{}{path}", config.gateway)} {example} token={token.clone()} on_copied={on_kept} />
            </div>
        </Dialog>
    }
}
