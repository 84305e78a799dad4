//! Fields of forms. The library's `FormGroup` ties neither label nor help nor error to its input.

use super::{Leaked, looks_secret};
use crate::hooks::use_id;
use crate::i18n::use_i18n;
use domain::error::FieldError;
use domain::problem::Problem;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};
use yew::prelude::*;

/// The problem of `field`, if it was refused.
pub fn error_of(errors: &[FieldError], field: &str) -> Option<Problem> {
    errors.iter().find(|error| error.field == field).map(|error| error.problem.clone())
}

/// The problem of any element of `field`: `scopes` and `scopes.3`.
pub fn error_within(errors: &[FieldError], field: &str) -> Option<Problem> {
    let is_of = |error: &&FieldError| {
        error.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    errors.iter().find(is_of).map(|error| error.problem.clone())
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct FieldProps {
    pub label: AttrValue,
    /// The input's id; its help has the same with `-help` at the end.
    pub id: AttrValue,
    #[prop_or_default]
    pub help: Option<AttrValue>,
    #[prop_or_default]
    pub error: Option<Problem>,
    #[prop_or_default]
    pub is_required: bool,
    /// Whether nothing is typed in although it must be: then the error is that.
    #[prop_or_default]
    pub is_missing: bool,
    pub children: Html,
}

/// Label, input, help and error.
#[component]
pub fn Field(props: &FieldProps) -> Html {
    let i18n = use_i18n();
    html! {
        <div class="pf-v6-c-form__group">
            <div class="pf-v6-c-form__group-label">
                <label class="pf-v6-c-form__label" for={&props.id}>
                    <span class="pf-v6-c-form__label-text">{ &props.label }</span>
                    if props.is_required {
                        <span class="pf-v6-c-form__label-required" aria-hidden="true">{ "\u{a0}*" }</span>
                    }
                </label>
            </div>
            <div class="pf-v6-c-form__group-control">
                { props.children.clone() }
                <div class="pf-v6-c-form__helper-text" id={format!("{}-help", props.id)} aria-live="polite">
                    if let Some(error) = &props.error {
                        <div class="pf-v6-c-helper-text">
                            <div class="pf-v6-c-helper-text__item pf-m-error">
                                <span class="pf-v6-c-helper-text__item-icon">
                                    <i class="fas fa-exclamation-circle" aria-hidden="true" />
                                </span>
                                <span class="pf-v6-c-helper-text__item-text">{ if props.is_missing { i18n.fill("field.missing", &[("label", &props.label)]) } else { i18n.problem(error) } }</span>
                            </div>
                        </div>
                    } else if let Some(help) = &props.help {
                        <div class="pf-v6-c-helper-text">
                            <div class="pf-v6-c-helper-text__item">
                                <span class="pf-v6-c-helper-text__item-text">{ help }</span>
                            </div>
                        </div>
                    }
                </div>
            </div>
        </div>
    }
}

fn control_class(error: Option<&Problem>) -> Classes {
    classes!("pf-v6-c-form-control", error.map(|_| "pf-m-error"))
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TextFieldProps {
    pub label: AttrValue,
    pub value: AttrValue,
    pub on_change: Callback<String>,
    #[prop_or_default]
    pub help: Option<AttrValue>,
    #[prop_or_default]
    pub error: Option<Problem>,
    #[prop_or_default]
    pub placeholder: Option<AttrValue>,
    #[prop_or(AttrValue::Static("text"))]
    pub kind: AttrValue,
    #[prop_or_default]
    pub is_required: bool,
    #[prop_or_default]
    pub is_disabled: bool,
    /// Whether the field gets the focus when it appears.
    #[prop_or_default]
    pub is_first: bool,
    /// Completions, offered while typing.
    #[prop_or_default]
    pub suggestions: Vec<AttrValue>,
}

/// A line of text.
#[component]
pub fn TextField(props: &TextFieldProps) -> Html {
    let id = use_id();
    let list = (!props.suggestions.is_empty()).then(|| format!("{id}-list"));
    let oninput =
        props.on_change.reform(|event: InputEvent| event.target_unchecked_into::<HtmlInputElement>().value());
    html! {
        <Field
            label={&props.label}
            id={&id}
            help={props.help.clone()}
            error={props.error.clone()}
            is_required={props.is_required}
            is_missing={props.is_required && props.value.trim().is_empty()}
        >
            <span class={control_class(props.error.as_ref())}>
                <input
                    id={&id}
                    type={&props.kind}
                    value={&props.value}
                    {oninput}
                    placeholder={props.placeholder.clone()}
                    disabled={props.is_disabled}
                    autofocus={props.is_first}
                    autocomplete={if props.kind == "password" { "new-password" } else { "off" }}
                    spellcheck="false"
                    list={list.clone()}
                    aria-required={props.is_required.to_string()}
                    aria-invalid={props.error.is_some().to_string()}
                    aria-describedby={format!("{id}-help")}
                />
            </span>
            if let Some(list) = list {
                <datalist id={list}>
                    { for props.suggestions.iter().map(|text| html! { <option value={text} /> }) }
                </datalist>
            }
        </Field>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TextAreaFieldProps {
    pub label: AttrValue,
    pub value: AttrValue,
    pub on_change: Callback<String>,
    #[prop_or_default]
    pub help: Option<AttrValue>,
    #[prop_or_default]
    pub error: Option<Problem>,
    #[prop_or(2)]
    pub rows: u32,
    #[prop_or_default]
    pub placeholder: AttrValue,
}

/// A text of several lines.
#[component]
pub fn TextAreaField(props: &TextAreaFieldProps) -> Html {
    let id = use_id();
    let oninput = props
        .on_change
        .reform(|event: InputEvent| event.target_unchecked_into::<HtmlTextAreaElement>().value());
    html! {
        <Field label={&props.label} id={&id} help={props.help.clone()} error={props.error.clone()}>
            <span class={classes!(control_class(props.error.as_ref()), "pf-m-resize-vertical")}>
                <textarea
                    id={&id}
                    value={props.value.clone()}
                    {oninput}
                    rows={props.rows.to_string()}
                    placeholder={&props.placeholder}
                    aria-invalid={props.error.is_some().to_string()}
                    aria-describedby={format!("{id}-help")}
                />
            </span>
        </Field>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SelectProps {
    /// The id for the field around it. A bare one is named by `label`.
    #[prop_or_default]
    pub id: Option<AttrValue>,
    #[prop_or_default]
    pub label: Option<AttrValue>,
    /// Value and text.
    pub options: Vec<(AttrValue, AttrValue)>,
    pub value: AttrValue,
    pub on_change: Callback<String>,
    #[prop_or_default]
    pub is_disabled: bool,
    #[prop_or_default]
    pub is_invalid: bool,
}

/// One of a list.
#[component]
pub fn Select(props: &SelectProps) -> Html {
    let onchange = props.on_change.reform(|event: Event| {
        let select = event.target().and_then(|target| target.dyn_into::<HtmlSelectElement>().ok());
        select.map(|select| select.value()).unwrap_or_default()
    });
    let options = props.options.iter().map(|(value, text)| {
        html! { <option key={value.to_string()} value={value} selected={*value == props.value}>{ text }</option> }
    });
    html! {
        <span class={classes!("pf-v6-c-form-control", props.is_invalid.then_some("pf-m-error"))}>
            <select
                id={props.id.clone()}
                aria-label={props.label.clone()}
                {onchange}
                disabled={props.is_disabled}
                aria-invalid={props.is_invalid.then_some("true")}
                aria-describedby={props.id.as_ref().map(|id| format!("{id}-help"))}
            >
                { for options }
            </select>
            <span class="pf-v6-c-form-control__utilities">
                <span class="pf-v6-c-form-control__toggle-icon">
                    <i class="fas fa-caret-down" aria-hidden="true" />
                </span>
            </span>
        </span>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SearchFieldProps {
    pub label: AttrValue,
    pub value: AttrValue,
    pub on_change: Callback<String>,
}

/// A text field to search a list. A secret that is pasted into it goes nowhere: its token is looked for by its hash.
#[component]
pub fn SearchField(props: &SearchFieldProps) -> Html {
    let secret = use_state_eq(|| None::<AttrValue>);
    let oninput = {
        let (secret, on_change) = (secret.setter(), props.on_change.clone());
        Callback::from(move |event: InputEvent| {
            let text = event.target_unchecked_into::<HtmlInputElement>().value();
            let is_secret = looks_secret(&text);
            secret.set(is_secret.then(|| text.clone().into()));
            if !is_secret {
                on_change.emit(text);
            }
        })
    };
    let on_choose = {
        let secret = secret.setter();
        Callback::from(move |()| secret.set(None))
    };
    let value = (*secret).clone().unwrap_or_else(|| props.value.clone());
    html! {
        <div class="tm-toolbar__search tm-menu">
            <span class="pf-v6-c-form-control">
                <input type="search" {value} {oninput} placeholder={&props.label} aria-label={&props.label} autocomplete="off" />
            </span>
            if let Some(secret) = (*secret).clone() {
                <div class="tm-menu__panel pf-v6-c-menu tm-search__panel" aria-live="polite"><Leaked {secret} {on_choose} /></div>
            }
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SelectFieldProps {
    pub label: AttrValue,
    pub options: Vec<(AttrValue, AttrValue)>,
    pub value: AttrValue,
    pub on_change: Callback<String>,
    #[prop_or_default]
    pub help: Option<AttrValue>,
    #[prop_or_default]
    pub error: Option<Problem>,
    #[prop_or_default]
    pub is_disabled: bool,
}

/// One of a list, with label, help and error.
#[component]
pub fn SelectField(props: &SelectFieldProps) -> Html {
    let id = use_id();
    html! {
        <Field label={&props.label} id={&id} help={props.help.clone()} error={props.error.clone()}>
            <Select
                {id}
                options={props.options.clone()}
                value={&props.value}
                on_change={props.on_change.clone()}
                is_disabled={props.is_disabled}
                is_invalid={props.error.is_some()}
            />
        </Field>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CheckFieldProps {
    pub label: AttrValue,
    pub is_checked: bool,
    pub on_change: Callback<bool>,
    #[prop_or_default]
    pub help: Option<AttrValue>,
    #[prop_or_default]
    pub is_disabled: bool,
}

/// A box to tick.
#[component]
pub fn CheckField(props: &CheckFieldProps) -> Html {
    let id = use_id();
    let onchange =
        props.on_change.reform(|event: Event| event.target_unchecked_into::<HtmlInputElement>().checked());
    html! {
        <div class="pf-v6-c-check">
            <input
                class="pf-v6-c-check__input"
                type="checkbox"
                id={&id}
                checked={props.is_checked}
                disabled={props.is_disabled}
                {onchange}
                aria-describedby={props.help.as_ref().map(|_| format!("{id}-help"))}
            />
            <label class="pf-v6-c-check__label" for={&id}>{ &props.label }</label>
            if let Some(help) = &props.help {
                <span class="pf-v6-c-check__description" id={format!("{id}-help")}>{ help }</span>
            }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::problem::Invalid;

    #[test]
    fn an_error_belongs_to_its_field_or_to_an_element_of_it() {
        let errors = [FieldError::new("scopes.1", Invalid::Twice), FieldError::new("name", Invalid::Missing)];
        assert_eq!(error_of(&errors, "name"), Some(Invalid::Missing.into()));
        assert_eq!(error_of(&errors, "scopes"), None);
        assert_eq!(error_within(&errors, "scopes"), Some(Invalid::Twice.into()));
        assert_eq!(error_within(&errors, "scope"), None);
    }
}
