use patternfly_yew::prelude::*;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PageHeaderProps {
    pub title: AttrValue,
    pub summary: AttrValue,
    /// What can be done on this page, at the end of the line.
    #[prop_or_default]
    pub children: Html,
}

#[component]
pub fn PageHeader(props: &PageHeaderProps) -> Html {
    html! {
        <div class="tm-page-header">
            <div>
                <Title level={Level::H1}>{ &props.title }</Title>
                <p class="tm-subtle">{ &props.summary }</p>
            </div>
            <div class="tm-page-header__actions">{ props.children.clone() }</div>
        </div>
    }
}
