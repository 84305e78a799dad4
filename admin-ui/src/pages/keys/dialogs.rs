//! Dialogs of one key: rotate, revoke.

use super::reveal::Reveal;
use crate::api::use_api;
use crate::clock;
use crate::components::{FormDialog, SelectField, Submission, Time, use_form};
use crate::hooks::use_action;
use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use contract::keys::{KeyCreated, KeyView, RevokeKey, RotateKey, RotateKeyRequest};
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct KeyDialogProps {
    pub key_view: Rc<KeyView>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

const GRACES: [&str; 3] = ["0", "24", "168"];
const DAYS: [&str; 4] = ["", "30", "90", "365"];

/// Gives the key a new secret, and another end if one is chosen.
#[component]
pub fn Rotate(props: &KeyDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let made = use_state_eq(|| None::<KeyCreated>);
    let on_done = {
        let (made, on_changed) = (made.setter(), props.on_changed.clone());
        Callback::from(move |created: KeyCreated| {
            on_changed.emit(());
            made.set(Some(created));
        })
    };
    let id = props.key_view.id.clone();
    let form = use_form(
        || ("24".to_owned(), String::new()),
        |(hours, days): &(String, String)| {
            // Unparsable input becomes an out-of-range value, so validation reports it.
            let request = RotateKeyRequest {
                grace_hours: Some(hours.parse().unwrap_or(-1)),
                expires_days: (!days.is_empty()).then(|| days.parse().unwrap_or(-1)),
            };
            request.validate(clock::now()).map(|_| request)
        },
        move |request: RotateKeyRequest| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<RotateKey>().path(&[id.as_str()]).body(&request).send().await }
        },
        on_done,
    );
    if let Some(created) = (*made).clone() {
        return html! { <Reveal {created} on_close={props.on_close.clone()} /> };
    }
    let graces = GRACES.map(|hours| {
        let text = match hours {
            "0" => i18n.t("rotate.none"),
            "24" => i18n.t("rotate.day"),
            _ => i18n.t("rotate.week"),
        };
        (AttrValue::Static(hours), text)
    });
    let ends = DAYS.map(|days| {
        let text = if days.is_empty() {
            i18n.t("keys.keep-end")
        } else {
            i18n.fill("token.days", &[("days", days)])
        };
        (AttrValue::Static(days), text)
    });
    let (hours, days) = form.draft().clone();
    html! {
        <FormDialog label={i18n.t("tokens.rotate")} title={i18n.fill("rotate.title", &[("name", &props.key_view.name)])} submission={form.submission.clone()} on_close={props.on_close.clone()}>
            <p>{ i18n.fill("rotate.advice", &[("name", &props.key_view.name)]) }</p>
            <SelectField label={i18n.t("rotate.grace")} options={graces.to_vec()} value={hours} on_change={form.set(|draft, text| draft.0 = text)} error={form.error("grace_hours")} />
            <SelectField label={i18n.t("token.expires")} options={ends.to_vec()} value={days} on_change={form.set(|draft, text| draft.1 = text)} error={form.error("expires_days")} />
        </FormDialog>
    }
}

/// Revokes a key permanently.
#[component]
pub fn Revoke(props: &KeyDialogProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let id = props.key_view.id.clone();
    let on_done = {
        let (text, on_changed, on_close) =
            (i18n.t("keys.revoked"), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |_: KeyView| {
            toast.emit((Tone::Success, text.clone()));
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let action = use_action(
        move |()| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<RevokeKey>().path(&[id.as_str()]).send().await }
        },
        on_done,
    );
    html! {
        <FormDialog label={i18n.t("tokens.revoke")} title={i18n.fill("revoke.title", &[("name", &props.key_view.name)])} submission={Submission::from(action)} on_close={props.on_close.clone()} is_danger=true>
            <p>{ i18n.fill("keys.revoke-advice", &[("name", &props.key_view.name)]) }</p>
            if let Some(at) = props.key_view.last_used_at {
                <p>{ i18n.t("token.last-used") }{ ": " }<Time {at} is_relative=true /></p>
            }
        </FormDialog>
    }
}
