//! A figure with its change and its course.

use yew::prelude::*;

/// How a figure has changed since the time before.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// Such as "+12 %".
    pub text: String,
    /// Whether the change is for the worse.
    pub is_bad: bool,
    /// The figure before, in words.
    pub before: AttrValue,
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TileProps {
    pub title: AttrValue,
    pub figure: String,
    #[prop_or_default]
    pub delta: Option<Delta>,
    #[prop_or_default]
    pub note: Option<AttrValue>,
    /// Its course, such as a sparkline.
    #[prop_or_default]
    pub children: Html,
}

/// One figure of several in a `dl` of the class `tm-tiles`.
#[component]
pub fn Tile(props: &TileProps) -> Html {
    html! {
        <div class="tm-tile">
            <dt class="tm-subtle">{ &props.title }</dt>
            <dd class="tm-tile__figure">
                { &props.figure }
                if let Some(Delta { text, is_bad, before }) = &props.delta {
                    <span class={classes!("tm-delta", is_bad.then_some("tm-danger"))} title={before.clone()}>
                        { text }
                        <span class="pf-v6-screen-reader">{ " " }{ before }</span>
                    </span>
                }
            </dd>
            if let Some(note) = &props.note {
                <dd class="tm-subtle tm-tile__note">{ note }</dd>
            }
            <dd class="tm-tile__course">{ props.children.clone() }</dd>
        </div>
    }
}
