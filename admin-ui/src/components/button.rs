//! Buttons on the library's style sheet. The library's own button gives up the focus when it is pressed, so that the
//! keyboard would begin again at the top of the page.

use crate::i18n::use_i18n;
use patternfly_yew::prelude::{AsClasses, ButtonSize, ButtonType, ButtonVariant, Spinner, SpinnerSize};
use yew::prelude::*;

#[derive(Clone, PartialEq, Properties)]
pub struct ButtonProps {
    #[prop_or_default]
    pub label: String,
    #[prop_or_default]
    pub variant: ButtonVariant,
    #[prop_or_default]
    pub r#type: ButtonType,
    #[prop_or_default]
    pub size: ButtonSize,
    #[prop_or_default]
    pub icon: Option<Html>,
    #[prop_or_default]
    pub class: Classes,
    #[prop_or_default]
    pub aria_label: Option<AttrValue>,
    /// Whether what it opens is open; `controls` is the id of that.
    #[prop_or_default]
    pub is_expanded: Option<bool>,
    #[prop_or_default]
    pub controls: Option<AttrValue>,
    #[prop_or_default]
    pub onclick: Callback<MouseEvent>,
    #[prop_or_default]
    pub disabled: bool,
    /// Whether its action is under way. It keeps the focus meanwhile, which a disabled button would lose.
    #[prop_or_default]
    pub loading: bool,
}

#[component]
pub fn Button(props: &ButtonProps) -> Html {
    let i18n = use_i18n();
    let mut class = classes!("pf-v6-c-button", props.class.clone(), props.variant.as_classes());
    props.size.extend_classes(&mut class);
    if props.loading {
        class.push("pf-m-progress pf-m-in-progress");
    }
    let has_text = !props.label.is_empty();
    html! {
        <button
            {class}
            type={props.r#type}
            aria-label={props.aria_label.clone()}
            aria-expanded={props.is_expanded.map(|is| is.to_string())}
            aria-controls={props.controls.clone()}
            aria-disabled={props.loading.then_some("true")}
            disabled={props.disabled}
            onclick={props.onclick.clone()}
        >
            if props.loading {
                <span class="pf-v6-c-button__progress">
                    <Spinner size={SpinnerSize::Md} aria_label={i18n.t("async.loading").to_string()} />
                </span>
            }
            if let Some(icon) = &props.icon {
                <span class={classes!("pf-v6-c-button__icon", has_text.then_some("pf-m-start"))}>{ icon.clone() }</span>
            }
            if has_text {
                <span class="pf-v6-c-button__text">{ &props.label }</span>
            }
        </button>
    }
}
