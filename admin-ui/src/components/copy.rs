//! Copying to the clipboard.

use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use web_sys::wasm_bindgen::JsValue;
use yew::platform::spawn_local;
use yew::prelude::*;

/// Returns a callback that copies a text to the clipboard and says so.
#[hook]
pub fn use_copy() -> Callback<AttrValue> {
    let (i18n, toast) = (use_i18n(), use_toast());
    Callback::from(move |text: AttrValue| {
        let (i18n, toast) = (i18n.clone(), toast.clone());
        spawn_local(async move {
            let clipboard = gloo::utils::window().navigator().clipboard();
            let done: Result<JsValue, JsValue> =
                wasm_bindgen_futures::JsFuture::from(clipboard.write_text(&text)).await;
            toast.emit(match done {
                Ok(_) => (Tone::Success, i18n.t("copy.done")),
                Err(_) => (Tone::Danger, i18n.t("copy.failed")),
            });
        });
    })
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CopyButtonProps {
    pub text: AttrValue,
    /// Names the copied thing to screen readers.
    pub label: AttrValue,
    /// Shown beside the icon.
    #[prop_or_default]
    pub caption: Option<AttrValue>,
}

#[component]
pub fn CopyButton(props: &CopyButtonProps) -> Html {
    let on_copy = use_copy();
    let text = props.text.clone();
    let onclick = on_copy.reform(move |_: MouseEvent| text.clone());
    let style = if props.caption.is_some() { "pf-m-secondary" } else { "pf-m-plain" };
    html! {
        <button
            type="button"
            class={classes!("pf-v6-c-button", "pf-m-small", style)}
            aria-label={&props.label}
            title={&props.label}
            {onclick}
        >
            <span class="pf-v6-c-button__icon"><i class="fas fa-copy" aria-hidden="true" /></span>
            if let Some(caption) = &props.caption {
                <span class="pf-v6-c-button__text">{ caption }</span>
            }
        </button>
    }
}
