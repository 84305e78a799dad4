//! Copying to the clipboard.

use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use gloo::timers::callback::Timeout;
use wasm_bindgen_futures::JsFuture;
use yew::platform::spawn_local;
use yew::prelude::*;

/// Copies a text to the clipboard. Returns false if the browser refuses.
async fn copied(text: &str) -> bool {
    let clipboard = gloo::utils::window().navigator().clipboard();
    JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// Returns a callback that copies a text to the clipboard and says so.
#[hook]
pub fn use_copy() -> Callback<AttrValue> {
    let (i18n, toast) = (use_i18n(), use_toast());
    Callback::from(move |text: AttrValue| {
        let (i18n, toast) = (i18n.clone(), toast.clone());
        spawn_local(async move {
            toast.emit(if copied(&text).await {
                (Tone::Success, i18n.t("copy.done"))
            } else {
                (Tone::Danger, i18n.t("copy.failed"))
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
    /// Emits once the text is in the clipboard.
    #[prop_or_default]
    pub on_copied: Callback<()>,
    /// Whether the button gets the focus when its dialog opens.
    #[prop_or_default]
    pub is_first: bool,
}

const SAID_MS: u32 = 3_000;

/// Copies a text, and says so in its own place: a toast would be far away, and silent behind a dialog.
#[component]
pub fn CopyButton(props: &CopyButtonProps) -> Html {
    let (i18n, toast) = (use_i18n(), use_toast());
    let is_done = use_state_eq(|| false);
    {
        let setter = is_done.setter();
        use_effect_with(*is_done, move |is_done| {
            let timer = is_done.then(|| Timeout::new(SAID_MS, move || setter.set(false)));
            move || drop(timer)
        });
    }
    let onclick = {
        let (text, on_copied, is_done) = (props.text.clone(), props.on_copied.clone(), is_done.setter());
        let failed = i18n.t("copy.failed");
        Callback::from(move |_: MouseEvent| {
            let (text, on_copied, is_done) = (text.clone(), on_copied.clone(), is_done.clone());
            let (toast, failed) = (toast.clone(), failed.clone());
            spawn_local(async move {
                if copied(&text).await {
                    is_done.set(true);
                    on_copied.emit(());
                } else {
                    toast.emit((Tone::Danger, failed));
                }
            });
        })
    };
    let style = if props.caption.is_some() { "pf-m-secondary" } else { "pf-m-plain" };
    html! {
        <button
            type="button"
            class={classes!("pf-v6-c-button", "pf-m-small", style)}
            aria-label={&props.label}
            title={&props.label}
            autofocus={props.is_first}
            {onclick}
        >
            <span class="pf-v6-c-button__icon">
                <i class={if *is_done { "fas fa-check-circle" } else { "fas fa-copy" }} aria-hidden="true" />
            </span>
            if let Some(caption) = &props.caption {
                <span class="pf-v6-c-button__text">{ if *is_done { i18n.t("copy.done") } else { caption.clone() } }</span>
            }
            <span class="pf-v6-screen-reader" role="status">{ if *is_done { i18n.t("copy.done") } else { "".into() } }</span>
        </button>
    }
}
