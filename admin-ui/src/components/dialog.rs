//! Modal dialogs.

use crate::hooks::use_id;
use crate::i18n::use_i18n;
use gloo::utils::document;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlElement};
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DialogProps {
    pub title: AttrValue,
    pub children: Html,
    /// Buttons, the main one first.
    pub footer: Html,
    pub on_close: Callback<()>,
    /// Sends the form in the dialog.
    #[prop_or_default]
    pub on_submit: Option<Callback<()>>,
    #[prop_or_default]
    pub is_wide: bool,
}

/// A modal dialog on the browser's own `dialog`: it keeps the focus inside, makes the page behind
/// inert and closes on Escape. The library's dialog does none of the three, and its title is
/// not its name for screen readers.
#[component]
pub fn Dialog(props: &DialogProps) -> Html {
    let i18n = use_i18n();
    let node = use_node_ref();
    let title = use_id();
    {
        let node = node.clone();
        use_effect_with((), move |()| {
            let before =
                document().active_element().and_then(|element| element.dyn_into::<HtmlElement>().ok());
            if let Some(dialog) = node.cast::<HtmlDialogElement>() {
                // Refused only if the dialog is open already.
                let _ = dialog.show_modal();
            }
            move || {
                let _ = before.map(|element| element.focus());
            }
        });
    }
    let oncancel = props.on_close.reform(|event: Event| event.prevent_default());
    let onsubmit = {
        let on_submit = props.on_submit.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if let Some(on_submit) = &on_submit {
                on_submit.emit(());
            }
        })
    };
    let size = if props.is_wide { "pf-m-lg" } else { "pf-m-sm" };
    html! {
        <dialog ref={node} class={classes!("tm-dialog", "pf-v6-c-modal-box", size)} aria-labelledby={title.clone()} {oncancel}>
            <form class="tm-dialog__form" {onsubmit} novalidate=true method="dialog">
                <header class="pf-v6-c-modal-box__header tm-dialog__header">
                    <h2 class="pf-v6-c-modal-box__title" id={title}>{ &props.title }</h2>
                    <button
                        class="pf-v6-c-button pf-m-plain"
                        type="button"
                        aria-label={i18n.t("app.close")}
                        onclick={props.on_close.reform(|_| ())}
                    >
                        <i class="fas fa-times" aria-hidden="true" />
                    </button>
                </header>
                <div class="pf-v6-c-modal-box__body tm-dialog__body" tabindex="-1">{ props.children.clone() }</div>
                <footer class="pf-v6-c-modal-box__footer">{ props.footer.clone() }</footer>
            </form>
        </dialog>
    }
}
