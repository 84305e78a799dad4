//! The outline of a page.

use crate::hooks::use_title;
use crate::i18n::use_i18n;
use patternfly_yew::prelude::*;
use yew::prelude::*;

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

/// A page: its title, also in the browser's tab, its buttons and its content.
#[component]
pub fn Page(props: &PageProps) -> Html {
    let i18n = use_i18n();
    use_title(props.title.clone(), i18n.t("app.name"));
    html! {
        <>
            <PageSection>
                { props.parent.clone() }
                <div class="tm-page-header">
                    <div>
                        <Title level={Level::H1}>{ &props.title }</Title>
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
