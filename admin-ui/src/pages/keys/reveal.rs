//! A key that was just made, shown once.

use crate::components::{Button, CopyButton, Dialog, Notice};
use crate::config::use_config;
use crate::i18n::use_i18n;
use crate::state::toasts::Tone;
use contract::keys::KeyCreated;
use patternfly_yew::prelude::*;
use yew::prelude::*;

/// Name and value of n8n's credential.
const HEADER: &str = "Authorization";
const VALUE: &str = "Bearer nak_…";

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RevealProps {
    pub created: KeyCreated,
    pub on_close: Callback<()>,
}

/// The plain text, once. Only memory and the screen hold it, and both lose it with this dialog. So the dialog closes
/// only after the key was copied, by a button or by hand.
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
    let key = AttrValue::from(props.created.key.clone());
    let command = AttrValue::from(format!("curl {}/api/me -H 'Authorization: Bearer {key}'", config.api));
    let footer = html! {
        <>
            <div class="tm-dialog__alert">
                if *is_warned && !*is_kept {
                    <Notice tone={Tone::Warning} title={i18n.t("keys.copy-first")} role="alert" />
                }
            </div>
            <Button variant={ButtonVariant::Primary} label={i18n.t("app.done").to_string()} disabled={!*is_kept} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("keys.save")} {footer} {on_close} is_wide=true has_close=false>
            <div class="tm-form">
                <p>{ i18n.fill("reveal.advice", &[("name", &props.created.view.name)]) }</p>
                <div class="tm-secret">
                    <code data-secret="true" oncopy={on_kept.reform(|_: Event| ())}>{ &key }</code>
                    <CopyButton text={&key} label={i18n.t("keys.copy")} caption={i18n.t("copy.copy")} on_copied={on_kept.clone()} is_first=true />
                </div>
                <p>{ i18n.t("keys.in-n8n") }{ " " }<code>{ HEADER }</code>{ ", " }<code>{ VALUE }</code></p>
                <h3 class="tm-heading">{ i18n.t("reveal.shell") }</h3>
                <div class="tm-secret">
                    <code>{ &command }</code>
                    <CopyButton text={command.clone()} label={i18n.t("routes.copy-curl")} caption={i18n.t("copy.copy")} on_copied={on_kept} />
                </div>
            </div>
        </Dialog>
    }
}
