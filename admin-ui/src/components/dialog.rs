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
    /// Whether it stands at the edge of the page, as high as the window.
    #[prop_or_default]
    pub is_drawer: bool,
    /// Whether a button in the corner closes it too.
    #[prop_or(true)]
    pub has_close: bool,
}

/// A modal dialog on the browser's own `dialog`: it keeps the focus inside, makes the page behind
/// inert, asks to be closed on Escape and gives the focus back to what opened it. The library's dialog
/// does none of these, and its title is not its name for screen readers.
#[component]
pub fn Dialog(props: &DialogProps) -> Html {
    let i18n = use_i18n();
    let (node, title) = (use_modal(), use_id());
    let oncancel = props.on_close.reform(|event: Event| event.prevent_default());
    // A second Escape would close the browser's dialog without asking. One that ends the composition of a
    // character is not meant for the dialog.
    let onkeydown = {
        let on_close = props.on_close.clone();
        Callback::from(move |event: KeyboardEvent| {
            if event.key() == "Escape" && !event.is_composing() && !event.default_prevented() {
                event.prevent_default();
                on_close.emit(());
            }
        })
    };
    let onclose = {
        let node = node.clone();
        Callback::from(move |_: Event| open(node.cast::<HtmlDialogElement>().as_ref()))
    };
    let onsubmit = {
        let on_submit = props.on_submit.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if let Some(on_submit) = &on_submit {
                on_submit.emit(());
            }
        })
    };
    let size = match (props.is_drawer, props.is_wide) {
        (true, _) => "tm-dialog--drawer",
        (false, true) => "pf-m-lg",
        (false, false) => "pf-m-sm",
    };
    html! {
        <dialog ref={node} class={classes!("tm-dialog", "pf-v6-c-modal-box", size)} aria-labelledby={title.clone()} {oncancel} {onkeydown} {onclose}>
            <form class="tm-dialog__form" {onsubmit} novalidate=true method="dialog">
                <header class="pf-v6-c-modal-box__header tm-dialog__header">
                    <h2 class="pf-v6-c-modal-box__title" id={title}>{ &props.title }</h2>
                    if props.has_close {
                        <button
                            class="pf-v6-c-button pf-m-plain"
                            type="button"
                            aria-label={i18n.t("app.close")}
                            onclick={props.on_close.reform(|_| ())}
                        >
                            <i class="fas fa-times" aria-hidden="true" />
                        </button>
                    }
                </header>
                <div class="pf-v6-c-modal-box__body tm-dialog__body" tabindex="-1">{ props.children.clone() }</div>
                <footer class="pf-v6-c-modal-box__footer tm-dialog__footer">{ props.footer.clone() }</footer>
            </form>
        </dialog>
    }
}

/// Opens the browser's `dialog` at the node that it returns. The dialog's end gives the focus back to what had it before.
#[hook]
pub fn use_modal() -> NodeRef {
    let node = use_node_ref();
    {
        let node = node.clone();
        use_effect_with((), move |()| {
            let before =
                document().active_element().and_then(|element| element.dyn_into::<HtmlElement>().ok());
            let dialog = node.cast::<HtmlDialogElement>();
            open(dialog.as_ref());
            move || {
                // The page behind takes no focus before the dialog is closed.
                if let Some(dialog) = dialog {
                    dialog.close();
                }
                let _ = before.map(|element| element.focus());
            }
        });
    }
    node
}

fn open(dialog: Option<&HtmlDialogElement>) {
    if let Some(dialog) = dialog {
        // Refused only if the dialog is open already, or no longer in the page.
        let _ = dialog.show_modal();
    }
}
