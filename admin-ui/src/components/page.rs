//! The outline of a page.

use crate::hooks::use_title;
use crate::i18n::use_i18n;
use gloo::utils::document;
use patternfly_yew::prelude::*;
use std::cell::Cell;
use web_sys::HtmlElement;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PageProps {
    pub title: AttrValue,
    #[prop_or_default]
    pub summary: Option<AttrValue>,
    /// A link to the parent page, above the title.
    #[prop_or_default]
    pub parent: Html,
    /// Buttons at the end of the title's line.
    #[prop_or_default]
    pub actions: Html,
    #[prop_or_default]
    pub children: Html,
}

thread_local!(static HAS_SHOWN: Cell<bool> = const { Cell::new(false) });

/// Matches where people are busy: a page that arrives late leaves them the focus.
const BUSY: &str = "input, select, textarea, .tm-menu > [aria-expanded=true], .tm-menu__panel *, dialog *";

/// A page: its title, also in the browser's tab, its buttons and its content. If it follows another page, its title gets the
/// focus, so that the keyboard goes on there and screen readers say where they are.
#[component]
pub fn Page(props: &PageProps) -> Html {
    let i18n = use_i18n();
    use_title(props.title.clone(), i18n.t("app.name"));
    let (heading, location) = (use_node_ref(), use_location());
    {
        let heading = heading.clone();
        // Another page, but not other filters of the same one.
        use_effect_with(location.map(|location| location.path().to_owned()), move |_| {
            let is_busy =
                document().active_element().is_some_and(|element| element.matches(BUSY).unwrap_or_default());
            if HAS_SHOWN.replace(true) && !is_busy {
                let _ = heading.cast::<HtmlElement>().map(|heading| heading.focus());
            }
        });
    }
    html! {
        <>
            <PageSection>
                { props.parent.clone() }
                <div class="tm-page-header">
                    <div>
                        <h1 class="pf-v6-c-title pf-m-2xl tm-address" tabindex="-1" ref={heading}>{ &props.title }</h1>
                        if let Some(summary) = &props.summary {
                            <p class="tm-subtle">{ summary }</p>
                        }
                    </div>
                    <div class="tm-page-header__actions">{ props.actions.clone() }</div>
                </div>
            </PageSection>
            <PageSection>{ props.children.clone() }</PageSection>
        </>
    }
}
