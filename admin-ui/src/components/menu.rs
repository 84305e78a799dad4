//! Menus: a button with a panel under it.

use crate::hooks::use_id;
use gloo::events::EventListener;
use gloo::utils::document;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlElement, Node};
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct MenuProps {
    /// Names the button.
    pub label: AttrValue,
    /// The content of the button.
    pub toggle: Html,
    pub children: Html,
    #[prop_or_default]
    pub class: Classes,
}

/// A button that opens a panel under it. The panel closes on Escape, on a click elsewhere, when the focus
/// leaves it and when an item is chosen.
#[component]
pub fn Menu(props: &MenuProps) -> Html {
    let is_open = use_state_eq(|| false);
    let (node, button) = (use_node_ref(), use_node_ref());
    let panel = use_id();
    {
        let (node, is_open_setter) = (node.clone(), is_open.setter());
        use_effect_with(*is_open, move |is_open| {
            let listener = is_open.then(|| {
                EventListener::new(&document(), "pointerdown", move |event| {
                    let target = event.target().and_then(|target| target.dyn_into::<Node>().ok());
                    if !node.cast::<Node>().is_some_and(|node| node.contains(target.as_ref())) {
                        is_open_setter.set(false);
                    }
                })
            });
            move || drop(listener)
        });
    }
    let onclick = {
        let is_open = is_open.clone();
        Callback::from(move |_: MouseEvent| is_open.set(!*is_open))
    };
    let onkeydown = {
        let (is_open, button) = (is_open.clone(), button.clone());
        Callback::from(move |event: KeyboardEvent| {
            if event.key() == "Escape" && *is_open {
                is_open.set(false);
                let _ = button.cast::<HtmlElement>().map(|button| button.focus());
            }
        })
    };
    let onfocusout = {
        let (is_open, node) = (is_open.clone(), node.clone());
        Callback::from(move |event: FocusEvent| {
            let next = event.related_target().and_then(|target| target.dyn_into::<Node>().ok());
            let has_left =
                next.is_some_and(|next| !node.cast::<Node>().is_some_and(|n| n.contains(Some(&next))));
            if has_left {
                is_open.set(false);
            }
        })
    };
    let on_choose = {
        let (is_open, button) = (is_open.clone(), button.clone());
        Callback::from(move |event: MouseEvent| {
            let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
            let chosen = target.and_then(|target| target.closest("[data-closes]").ok().flatten());
            if chosen.is_some() {
                // The item goes with the panel: what it opens gives the focus back to the button.
                let _ = button.cast::<HtmlElement>().map(|button| button.focus());
                is_open.set(false);
            }
        })
    };
    html! {
        <div class="tm-menu" ref={node} {onkeydown} {onfocusout}>
            <button
                ref={button}
                type="button"
                class={classes!("pf-v6-c-button", "pf-m-plain", props.class.clone())}
                aria-label={&props.label}
                title={&props.label}
                aria-expanded={is_open.to_string()}
                aria-controls={is_open.then(|| panel.clone())}
                {onclick}
            >
                { props.toggle.clone() }
            </button>
            if *is_open {
                <div class="tm-menu__panel pf-v6-c-menu" id={panel} onclick={on_choose}>{ props.children.clone() }</div>
            }
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct MenuItemProps {
    pub text: AttrValue,
    pub icon: &'static str,
    pub on_choose: Callback<()>,
    #[prop_or_default]
    pub is_danger: bool,
}

#[component]
pub fn MenuItem(props: &MenuItemProps) -> Html {
    html! {
        <button
            type="button"
            class={classes!("tm-menu__item", props.is_danger.then_some("tm-danger"))}
            data-closes="true"
            onclick={props.on_choose.reform(|_| ())}
        >
            <i class={props.icon} aria-hidden="true" />
            { &props.text }
        </button>
    }
}
