//! Messages on the page and over it. The library's `Alert` speaks English to screen readers.

use crate::state::toasts::Tone;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct NoticeProps {
    pub tone: Tone,
    pub title: AttrValue,
    /// Whether the message is part of the page. A toast floats over it.
    #[prop_or(true)]
    pub is_inline: bool,
    #[prop_or_default]
    pub role: Option<AttrValue>,
    /// A button at its end.
    #[prop_or_default]
    pub action: Html,
    #[prop_or_default]
    pub children: Html,
}

/// A message with its tone's colour and icon.
#[component]
pub fn Notice(props: &NoticeProps) -> Html {
    let inline = props.is_inline.then_some("pf-m-inline");
    html! {
        <div class={classes!("pf-v6-c-alert", inline, props.tone.class())} role={props.role.clone()}>
            <div class="pf-v6-c-alert__icon"><i class={props.tone.icon()} aria-hidden="true" /></div>
            <p class="pf-v6-c-alert__title">{ &props.title }</p>
            if props.action != Html::default() {
                <div class="pf-v6-c-alert__action">{ props.action.clone() }</div>
            }
            if props.children != Html::default() {
                <div class="pf-v6-c-alert__description">{ props.children.clone() }</div>
            }
        </div>
    }
}
