//! A field that finds one token while its name is typed.

use super::{looks_secret, secret_in, use_leaked};
use crate::api::use_api;
use crate::hooks::{Named, use_debounced, use_id, use_name, use_remote};
use crate::i18n::use_i18n;
use contract::tokens::{ListTokens, TokenQuery, TokenView};
use domain::id::TokenId;
use web_sys::HtmlInputElement;
use yew::prelude::*;

const STILL_MS: u32 = 200;
const SHOWN: u32 = 8;

/// A token to choose, or all of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Choice {
    id: Option<TokenId>,
    name: AttrValue,
    /// The beginning and the end of its newest secret, which tells tokens of one name apart.
    hint: AttrValue,
}

impl From<&TokenView> for Choice {
    fn from(token: &TokenView) -> Self {
        let hint = token.hint.as_ref().map(|hint| format!("{}…{}", hint.start, hint.end)).unwrap_or_default();
        Self { id: Some(token.id.clone()), name: token.name.clone().into(), hint: hint.into() }
    }
}

/// The tokens that a text finds.
struct Found {
    choices: Vec<Choice>,
    is_loading: bool,
    has_more: bool,
}

/// Finds tokens by a text; without one, asks nothing. A secret is not sent: its token is found by its hash.
#[hook]
fn use_found(typed: Option<&str>) -> Found {
    let api = use_api();
    let settled = use_debounced(typed.map(|text| text.trim().to_owned()), STILL_MS);
    let leaked = use_leaked(typed.and_then(secret_in));
    let asked = settled.clone().filter(|text| !looks_secret(text));
    let found = use_remote(asked, move |asked: Option<String>| {
        let api = api.clone();
        async move {
            let Some(text) = asked else { return Ok((vec![], false)) };
            let search = Some(text).filter(|text| !text.is_empty());
            let query = TokenQuery { search, limit: Some(SHOWN), ..TokenQuery::default() };
            let page = api.request::<ListTokens>().query(&query).send().await?;
            Ok((page.items.iter().map(Choice::from).collect(), page.next_cursor.is_some()))
        }
    });
    if typed.is_some_and(looks_secret) {
        let token = leaked.ready().map(|found| found.token.as_ref().map(Choice::from));
        let is_loading = token.is_none();
        return Found { choices: token.flatten().into_iter().collect(), is_loading, has_more: false };
    }
    let is_loading = found.is_loading || typed.map(str::trim) != settled.as_deref();
    let (choices, has_more) = found.state.ready().map(|found| (**found).clone()).unwrap_or_default();
    Found { choices, is_loading, has_more }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TokenPickerProps {
    pub value: Option<TokenId>,
    pub on_change: Callback<Option<TokenId>>,
}

/// A field with the name of the chosen token. Typing lists the tokens that match, in the pattern of a combobox.
#[component]
pub fn TokenPicker(props: &TokenPickerProps) -> Html {
    let i18n = use_i18n();
    // The text being typed; without one the list is closed.
    let typed = use_state_eq(|| None::<String>);
    let active = use_state_eq(|| 0_usize);
    let list = use_id();
    let name = use_name(props.value.as_ref().map(|id| Named::Token(id.to_string())).as_ref());
    let found = use_found(typed.as_deref());
    let all = Choice { name: i18n.t("calls.any-token"), ..Choice::default() };
    let has_found = !found.choices.is_empty();
    let choices: Vec<Choice> = std::iter::once(all.clone()).chain(found.choices).collect();
    let at = (*active).min(choices.len() - 1);
    let on_type = {
        let (typed, active) = (typed.setter(), active.setter());
        Callback::from(move |text: Option<String>| {
            // The first token that matches a text is what Enter chooses.
            active.set(usize::from(text.as_ref().is_some_and(|text| !text.is_empty())));
            typed.set(text);
        })
    };
    let on_choose = {
        let (on_change, on_type) = (props.on_change.clone(), on_type.clone());
        Callback::from(move |id: Option<TokenId>| {
            on_type.emit(None);
            on_change.emit(id);
        })
    };
    let onkeydown = on_key(typed.is_some(), at, &choices, &on_type, &on_choose, active.setter());
    let note = match (found.is_loading, has_found, found.has_more) {
        (true, false, _) => Some(i18n.t("async.loading")),
        (false, false, _) => Some(i18n.t("tokens.none-found")),
        (_, true, true) => Some(i18n.t("tokens.more-found")),
        _ => None,
    };
    let value = typed.as_ref().map_or(AttrValue::from(name.clone()), |text| text.clone().into());
    let placeholder = if name.is_empty() { all.name } else { name.into() };
    html! {
        <div class="tm-menu tm-picker" onfocusout={on_type.reform(|_: FocusEvent| None)}>
            <span class="pf-v6-c-form-control">
                <input
                    type="text"
                    role="combobox"
                    autocomplete="off"
                    spellcheck="false"
                    {value}
                    {placeholder}
                    aria-label={i18n.t("token.title")}
                    aria-expanded={typed.is_some().to_string()}
                    aria-controls={typed.is_some().then(|| list.clone())}
                    aria-autocomplete="list"
                    aria-activedescendant={typed.is_some().then(|| format!("{list}-{at}"))}
                    oninput={on_type.reform(|event: InputEvent| Some(event.target_unchecked_into::<HtmlInputElement>().value()))}
                    onclick={typed.is_none().then(|| on_type.reform(|_: MouseEvent| Some(String::new())))}
                    {onkeydown}
                />
                <span class="pf-v6-c-form-control__utilities">
                    <span class="pf-v6-c-form-control__toggle-icon"><i class="fas fa-caret-down" aria-hidden="true" /></span>
                </span>
            </span>
            if typed.is_some() {
                <Choices {list} {choices} {at} {on_choose} {note} />
            }
        </div>
    }
}

/// Moves in the list with the arrows, chooses with Enter and closes it with Escape.
fn on_key(
    is_open: bool,
    at: usize,
    choices: &[Choice],
    on_type: &Callback<Option<String>>,
    on_choose: &Callback<Option<TokenId>>,
    active: UseStateSetter<usize>,
) -> Callback<KeyboardEvent> {
    let last = choices.len().saturating_sub(1);
    let chosen = choices.get(at).and_then(|choice| choice.id.clone());
    let (on_type, on_choose) = (on_type.clone(), on_choose.clone());
    Callback::from(move |event: KeyboardEvent| {
        match event.key().as_str() {
            "ArrowDown" | "ArrowUp" if !is_open => on_type.emit(Some(String::new())),
            "ArrowDown" => active.set(if at == last { 0 } else { at + 1 }),
            "ArrowUp" => active.set(if at == 0 { last } else { at - 1 }),
            "Enter" if is_open && !event.is_composing() => on_choose.emit(chosen.clone()),
            "Escape" if is_open => on_type.emit(None),
            _ => return,
        }
        event.prevent_default();
    })
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct ChoicesProps {
    list: AttrValue,
    choices: Vec<Choice>,
    /// The number of the one that Enter chooses.
    at: usize,
    on_choose: Callback<Option<TokenId>>,
    note: Option<AttrValue>,
}

/// The list under the field.
#[component]
fn Choices(props: &ChoicesProps) -> Html {
    let i18n = use_i18n();
    let options = props.choices.iter().enumerate().map(|(number, choice)| {
        let id = choice.id.clone();
        html! {
            <div
                role="option"
                id={format!("{}-{number}", props.list)}
                class="tm-menu__item"
                aria-selected={(number == props.at).to_string()}
                onclick={props.on_choose.reform(move |_: MouseEvent| id.clone())}
            >
                <span class="tm-clip">{ &choice.name }</span>
                <span class="tm-subtle tm-mono">{ &choice.hint }</span>
            </div>
        }
    });
    // The field keeps the focus while an option is pressed.
    let onmousedown = Callback::from(|event: MouseEvent| event.prevent_default());
    html! {
        <div class="tm-menu__panel pf-v6-c-menu" {onmousedown}>
            <div role="listbox" id={&props.list} aria-label={i18n.t("tokens.title")}>{ for options }</div>
            <p class="tm-search__note" role="status" hidden={props.note.is_none()}>{ props.note.clone() }</p>
        </div>
    }
}
