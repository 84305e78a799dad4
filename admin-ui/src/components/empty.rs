//! The place of a list without items.

use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct EmptyProps {
    pub title: AttrValue,
    /// Advice on how to get an item.
    #[prop_or_default]
    pub children: Html,
}

/// The message in place of an empty list. The library's own component is not used: it would make its title the
/// heading of the page.
#[component]
pub fn Empty(props: &EmptyProps) -> Html {
    html! {
        <div class="pf-v6-c-empty-state">
            <div class="pf-v6-c-empty-state__content">
                <div class="pf-v6-c-empty-state__header">
                    <div class="pf-v6-c-empty-state__icon"><i class="fas fa-search" aria-hidden="true" /></div>
                    <h2 class="pf-v6-c-empty-state__title-text">{ &props.title }</h2>
                </div>
                <div class="pf-v6-c-empty-state__body">{ props.children.clone() }</div>
            </div>
        </div>
    }
}
