//! The palette: one field that finds things and does things, from every page.

mod find;
mod items;
mod revoke;

use crate::components::{Act, looks_secret, may_stop, secret_in, use_leaked, use_modal};
use crate::hooks::{AsyncState, setter, use_debounced, use_id};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::preferences::use_set_preference;
use crate::state::session::use_me;
use contract::people::Me;
use contract::tokens::{FoundToken, TokenView};
use find::use_found;
use items::{Deed, Group, Item, groups, verb_of};
use revoke::RevokeNow;
use std::collections::BTreeMap;
use std::rc::Rc;
use web_sys::HtmlInputElement;
use yew::prelude::*;
use yew_router::prelude::*;

const STILL_MS: u32 = 200;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PaletteProps {
    pub on_close: Callback<()>,
    /// Shows the list of keys.
    pub on_keys: Callback<()>,
}

/// A field with the list of what it finds. A secret that is pasted into it is never sent: its token is found by its hash.
#[component]
pub fn Palette(props: &PaletteProps) -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let node = use_modal();
    let (text, active) = (use_state_eq(String::new), use_state_eq(|| 0_usize));
    let stopping = use_state_eq(|| None::<Rc<TokenView>>);
    let secret = secret_in(&text).map(str::to_owned);
    let leaked = use_leaked(secret.as_deref());
    let settled = use_debounced((*text).clone(), STILL_MS);
    // A verb in front of a name is not part of it, and a secret is not sent.
    let asked = verb_of(&i18n, &settled).map_or(&*settled, |(_, name)| name);
    let found = use_found(if looks_secret(&settled) { "" } else { asked });
    let groups = match secret {
        Some(_) => leaked_group(&i18n, &me, &leaked),
        None => groups(&i18n, &me, &text, &found),
    };
    let note = match secret {
        Some(_) => leaked_note(&i18n, &leaked),
        None if !groups.is_empty() => None,
        None if found.has_failed => Some(i18n.t("search.failed")),
        None if found.is_loading || *settled != *text => Some(i18n.t("async.loading")),
        None => Some(i18n.fill("search.nothing", &[("text", text.trim())])),
    };
    let on_run = use_run(props, setter(&stopping).reform(Some));
    let on_text = {
        let (text, active) = (text.setter(), active.setter());
        Callback::from(move |typed: String| {
            text.set(typed);
            active.set(0);
        })
    };
    let oncancel = {
        let on_close = props.on_close.clone();
        Callback::from(move |event: Event| {
            event.prevent_default();
            on_close.emit(());
        })
    };
    html! {
        <dialog ref={node} class="tm-palette pf-v6-c-modal-box" aria-label={i18n.t("palette.label")} {oncancel} onclick={close_outside(&props.on_close)}>
            if let Some(token) = (*stopping).clone() {
                <RevokeNow {token} secret={secret.unwrap_or_default()} on_close={props.on_close.clone()} />
            } else {
                <Chooser text={(*text).clone()} {on_text} {groups} active={*active} on_active={setter(&active)} {on_run} {note} />
            }
        </dialog>
    }
}

/// Closes a dialog at a click beside its content.
fn close_outside(on_close: &Callback<()>) -> Callback<MouseEvent> {
    let on_close = on_close.clone();
    Callback::from(move |event: MouseEvent| {
        if event.target() == event.current_target() {
            on_close.emit(());
        }
    })
}

/// Returns a callback that does what was chosen.
#[hook]
fn use_run(props: &PaletteProps, on_stop: Callback<Rc<TokenView>>) -> Callback<Deed> {
    let (navigator, on_set) = (use_navigator(), use_set_preference());
    let (on_close, on_keys) = (props.on_close.clone(), props.on_keys.clone());
    Callback::from(move |deed: Deed| {
        if let Deed::Stop(token) = deed {
            on_stop.emit(token);
            return;
        }
        on_close.emit(());
        match (deed, &navigator) {
            (Deed::Go(route), Some(navigator)) => navigator.push(&route),
            // Cannot fail: a word can be written as a query.
            (Deed::Call(request), Some(navigator)) => {
                drop(navigator.push_with_query(&Route::Calls, &BTreeMap::from([("request", request)])));
            }
            (Deed::Act(route, act), Some(navigator)) => drop(navigator.push_with_query(&route, &Act { act })),
            (Deed::Set(preference), _) => on_set.emit(preference),
            (Deed::Keys, _) => on_keys.emit(()),
            (Deed::Stop(_), _) | (_, None) => {}
        }
    })
}

/// Returns the remedies for a leaked secret, the gravest first.
fn leaked_group(i18n: &I18n, me: &Me, leaked: &AsyncState<FoundToken>) -> Vec<Group> {
    let Some(token) = leaked.ready().and_then(|found| found.token.as_ref()) else { return vec![] };
    let page = Route::Token { id: token.id.to_string() };
    let mut items = vec![];
    if may_stop(me, token) {
        items.push(Item::new("fas fa-ban", i18n.t("palette.revoke-now"), Deed::Stop(Rc::new(token.clone()))));
        items.push(Item::new("fas fa-sync-alt", i18n.t("tokens.rotate"), Deed::Act(page.clone(), "rotate")));
    }
    items.push(Item::new("fas fa-key", i18n.t("palette.open-token"), Deed::Go(page)));
    vec![Group { title: format!("{} {}", i18n.t("leaked.found"), token.name).into(), items }]
}

fn leaked_note(i18n: &I18n, leaked: &AsyncState<FoundToken>) -> Option<AttrValue> {
    match leaked {
        AsyncState::Loading => Some(i18n.t("async.loading")),
        AsyncState::Failed(_) => Some(i18n.t("search.failed")),
        AsyncState::Ready(found) => found.token.is_none().then(|| i18n.t("leaked.none")),
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ChooserProps {
    text: String,
    on_text: Callback<String>,
    groups: Vec<Group>,
    /// The number of the item that Enter chooses.
    active: usize,
    on_active: Callback<usize>,
    on_run: Callback<Deed>,
    note: Option<AttrValue>,
}

/// The field and the list under it, in the pattern of a combobox.
#[component]
fn Chooser(props: &ChooserProps) -> Html {
    let i18n = use_i18n();
    let list = use_id();
    let deeds: Vec<Deed> =
        props.groups.iter().flat_map(|group| &group.items).map(|item| item.deed.clone()).collect();
    let active = props.active.min(deeds.len().saturating_sub(1));
    let option = format!("{list}-{active}");
    use_effect_with(option.clone(), |option| {
        if let Some(element) = gloo::utils::document().get_element_by_id(option) {
            let nearest = web_sys::ScrollIntoViewOptions::new();
            nearest.set_block(web_sys::ScrollLogicalPosition::Nearest);
            element.scroll_into_view_with_scroll_into_view_options(&nearest);
        }
    });
    let onkeydown = {
        let (on_active, on_run, deeds, last) =
            (props.on_active.clone(), props.on_run.clone(), deeds.clone(), deeds.len().saturating_sub(1));
        Callback::from(move |event: KeyboardEvent| {
            match event.key().as_str() {
                "ArrowDown" => on_active.emit(if active == last { 0 } else { active + 1 }),
                "ArrowUp" => on_active.emit(if active == 0 { last } else { active - 1 }),
                "Enter" if !event.is_composing() => {
                    if let Some(deed) = deeds.get(active) {
                        on_run.emit(deed.clone());
                    }
                }
                _ => return,
            }
            event.prevent_default();
        })
    };
    let oninput =
        props.on_text.reform(|event: InputEvent| event.target_unchecked_into::<HtmlInputElement>().value());
    let mut number = 0;
    let groups = props.groups.iter().map(|group| {
        let first = number;
        number += group.items.len();
        group_view(props, group, &list, first, active)
    });
    html! {
        <>
            <input
                class="tm-palette__field"
                type="text"
                role="combobox"
                autofocus=true
                autocomplete="off"
                spellcheck="false"
                value={props.text.clone()}
                placeholder={i18n.t("palette.hint")}
                aria-label={i18n.t("palette.hint")}
                aria-expanded={(!deeds.is_empty()).to_string()}
                aria-controls={list.clone()}
                aria-autocomplete="list"
                aria-activedescendant={(!deeds.is_empty()).then_some(option)}
                {oninput}
                {onkeydown}
            />
            <div class="tm-palette__list" role="listbox" aria-label={i18n.t("palette.label")} id={&list}>{ for groups }</div>
            <p class="tm-search__note" role="status" hidden={props.note.is_none()}>{ props.note.clone() }</p>
        </>
    }
}

fn group_view(props: &ChooserProps, group: &Group, list: &str, first: usize, active: usize) -> Html {
    let title = format!("{list}-title-{first}");
    let items = group.items.iter().enumerate().map(|(at, item)| {
        let number = first + at;
        let (on_run, deed) = (props.on_run.clone(), item.deed.clone());
        html! {
            <div
                role="option"
                id={format!("{list}-{number}")}
                class="tm-menu__item"
                aria-selected={(number == active).to_string()}
                onmousemove={props.on_active.reform(move |_: MouseEvent| number)}
                onclick={Callback::from(move |_: MouseEvent| on_run.emit(deed.clone()))}
            >
                <i class={item.icon} aria-hidden="true" />
                <span class="tm-address">{ &item.text }</span>
                if !item.more.is_empty() {
                    <span class="tm-subtle tm-clip">{ &item.more }</span>
                }
            </div>
        }
    });
    html! {
        <div role="group" aria-labelledby={title.clone()}>
            <div class="tm-search__group tm-address" id={title} role="presentation">{ &group.title }</div>
            { for items }
        </div>
    }
}
