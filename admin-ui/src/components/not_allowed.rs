//! The page in place of one that the reader's role does not open.

use super::{Empty, Page};
use crate::i18n::use_i18n;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct NotAllowedProps {
    /// The title of the page that is not shown.
    pub title: AttrValue,
}

/// Says that the role does not allow this page, and whom to ask.
#[component]
pub fn NotAllowed(props: &NotAllowedProps) -> Html {
    let i18n = use_i18n();
    html! {
        <Page title={&props.title}>
            <Empty title={i18n.t("error.forbidden")}><p>{ i18n.t("error.forbidden-advice") }</p></Empty>
        </Page>
    }
}
