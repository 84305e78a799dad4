//! A choice of one among a few, all visible.

use yew::prelude::*;

#[derive(Clone, Debug, PartialEq)]
pub struct ChoiceOption<T> {
    pub value: T,
    /// Shown, or read aloud if there is an icon.
    pub text: AttrValue,
    /// Names of an icon's classes, in place of the text.
    pub icon: Option<&'static str>,
    /// The language of the text, if it differs from the page's.
    pub lang: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ChoiceProps<T: Copy + PartialEq + 'static> {
    pub label: AttrValue,
    pub options: Vec<ChoiceOption<T>>,
    pub selected: T,
    pub on_choose: Callback<T>,
}

/// A choice of one among a few, all visible. The library's toggle group gives screen readers neither its
/// name nor the choice, and gives every item the same id.
#[component]
pub fn Choice<T: Copy + PartialEq + 'static>(props: &ChoiceProps<T>) -> Html {
    let items = props.options.iter().map(|option| {
        let is_selected = option.value == props.selected;
        let class = classes!("pf-v6-c-toggle-group__button", is_selected.then_some("pf-m-selected"));
        let onclick = {
            let value = option.value;
            props.on_choose.reform(move |_: MouseEvent| value)
        };
        let name = option.icon.map(|_| option.text.clone());
        html! {
            <div class="pf-v6-c-toggle-group__item">
                <button
                    type="button"
                    {class}
                    {onclick}
                    title={name.clone()}
                    aria-label={name}
                    aria-pressed={is_selected.to_string()}
                    lang={option.lang}
                >
                    if let Some(icon) = option.icon {
                        <span class="pf-v6-c-toggle-group__icon"><i class={icon} aria-hidden="true" /></span>
                    } else {
                        <span class="pf-v6-c-toggle-group__text">{ &option.text }</span>
                    }
                </button>
            </div>
        }
    });
    html! {
        <div class="pf-v6-c-toggle-group pf-m-compact" role="group" aria-label={&props.label}>
            { for items }
        </div>
    }
}
