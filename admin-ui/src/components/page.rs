use crate::hooks::use_title;
use crate::i18n::use_i18n;
use patternfly_yew::prelude::*;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PageProps {
    pub title: AttrValue,
    #[prop_or_default]
    pub summary: Option<AttrValue>,
    /// The way back up, above the title.
    #[prop_or_default]
    pub parent: Html,
    /// What can be done on this page, at the end of the line.
    #[prop_or_default]
    pub actions: Html,
    #[prop_or_default]
    pub children: Html,
}

/// A page: its name in the browser's tab and above it, what can be done, and what is on it.
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
