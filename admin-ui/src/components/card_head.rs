//! The head of a card that holds more than a title.

use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CardHeadProps {
    pub title: AttrValue,
    /// Such as a link or a button, at the other end of the line.
    pub children: Html,
}

/// A card's title, and beside it what is no part of the title.
#[component]
pub fn CardHead(props: &CardHeadProps) -> Html {
    html! {
        <div class="pf-v6-c-card__title tm-title-line">
            <h2 class="pf-v6-c-card__title-text">{ &props.title }</h2>
            { props.children.clone() }
        </div>
    }
}
