//! Keys that work on every page, and their list.

use crate::clock;
use crate::components::{Act, Button, Dialog};
use crate::i18n::use_i18n;
use crate::route::Route;
use domain::time::UnixMs;
use gloo::events::{EventListener, EventListenerOptions};
use gloo::utils::document;
use patternfly_yew::prelude::ButtonVariant;
use std::cell::Cell;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};
use yew::prelude::*;
use yew_router::prelude::*;

/// The effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Palette,
    List,
    Create,
    /// The first of two.
    Go,
    Home,
    Tokens,
    Routes,
    Calls,
}

/// The time within which the second key follows the first.
const SECOND_MS: i64 = 1_500;
const FIELDS: &str = "input, textarea, select, [contenteditable]";

/// Returns what a key does. Beside the palette's own, no key works in a field.
fn key_of(key: &str, is_control: bool, is_typing: bool, is_second: bool) -> Option<Key> {
    match (key.to_lowercase().as_str(), is_second) {
        ("k", _) if is_control => Some(Key::Palette),
        _ if is_control || is_typing => None,
        ("h", true) => Some(Key::Home),
        ("t", true) => Some(Key::Tokens),
        ("r", true) => Some(Key::Routes),
        ("c", true) => Some(Key::Calls),
        ("/", _) => Some(Key::Palette),
        ("?", _) => Some(Key::List),
        ("c", false) => Some(Key::Create),
        ("g", _) => Some(Key::Go),
        _ => None,
    }
}

/// Emits the keys that are pressed while no dialog is open.
#[hook]
pub fn use_keys(on_key: &Callback<Key>) {
    use_effect_with(on_key.clone(), |on_key| {
        let (on_key, went_at) = (on_key.clone(), Cell::new(UnixMs::MIN));
        let options = EventListenerOptions::enable_prevent_default();
        let listener = EventListener::new_with_options(&document(), "keydown", options, move |event| {
            let Some(event) = event.dyn_ref::<KeyboardEvent>() else { return };
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let is_typing = target.is_some_and(|target| target.closest(FIELDS).ok().flatten().is_some());
            let is_covered = document().query_selector("dialog[open]").ok().flatten().is_some();
            if event.is_composing() || event.alt_key() || is_covered {
                return;
            }
            let is_second = clock::now() < went_at.replace(UnixMs::MIN).saturating_add(SECOND_MS);
            let is_control = event.ctrl_key() || event.meta_key();
            match key_of(&event.key(), is_control, is_typing, is_second) {
                Some(Key::Go) => went_at.set(clock::now()),
                Some(key) => {
                    event.prevent_default();
                    on_key.emit(key);
                }
                None => {}
            }
        });
        move || drop(listener)
    });
}

/// Returns a callback that goes where a key leads.
#[hook]
pub fn use_go() -> Callback<Key> {
    let (navigator, current) = (use_navigator(), use_route::<Route>());
    Callback::from(move |key: Key| {
        let Some(navigator) = &navigator else { return };
        match key {
            Key::Home => navigator.push(&Route::Dashboard),
            Key::Tokens => navigator.push(&Route::Tokens),
            Key::Routes => navigator.push(&Route::Routes),
            Key::Calls => navigator.push(&Route::Calls),
            Key::Create => {
                let section = current.as_ref().map(Route::section);
                let section = section.filter(|section| *section == Route::Routes).unwrap_or(Route::Tokens);
                // Cannot fail: a word can be written as a query.
                drop(navigator.push_with_query(&section, &Act { act: "create" }));
            }
            Key::Palette | Key::List | Key::Go => {}
        }
    })
}

/// Returns the platform's name of the key that opens the palette.
pub fn palette_key() -> &'static str {
    let platform = gloo::utils::window().navigator().platform().unwrap_or_default();
    if platform.starts_with("Mac") || platform.starts_with("iP") { "⌘K" } else { "Ctrl K" }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct KeyListProps {
    pub on_close: Callback<()>,
}

/// The list of keys.
#[component]
pub fn KeyList(props: &KeyListProps) -> Html {
    let i18n = use_i18n();
    let rows = [
        (vec![palette_key(), "/"], i18n.t("palette.label")),
        (vec!["g h"], i18n.t("shortcuts.home")),
        (vec!["g t"], i18n.t("tokens.title")),
        (vec!["g r"], i18n.t("routes.title")),
        (vec!["g c"], i18n.t("calls.title")),
        (vec!["c"], i18n.t("shortcuts.create")),
        (vec!["?"], i18n.t("shortcuts.title")),
    ];
    let row = |(keys, text): (Vec<&'static str>, AttrValue)| {
        html! {
            <>
                <dt>{ for keys.into_iter().map(|key| html! { <kbd>{ key }</kbd> }) }</dt>
                <dd>{ text }</dd>
            </>
        }
    };
    let footer = html! {
        <Button variant={ButtonVariant::Primary} label={i18n.t("app.close").to_string()} onclick={props.on_close.reform(|_| ())} />
    };
    html! {
        <Dialog title={i18n.t("shortcuts.title")} {footer} on_close={props.on_close.clone()}>
            <dl class="tm-keys">{ for rows.into_iter().map(row) }</dl>
        </Dialog>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_steals_typing_and_only_the_palettes_works_with_control() {
        for key in ["/", "?", "c", "g", "t", "h", "r"] {
            assert_eq!(key_of(key, false, true, false), None, "{key} in a field");
            assert_eq!(key_of(key, true, false, true), None, "{key} with Control");
        }
        assert_eq!(key_of("k", true, true, false), Some(Key::Palette));
        assert_eq!(key_of("k", false, false, false), None);
        assert_eq!(key_of("c", false, false, true), Some(Key::Calls));
        assert_eq!(key_of("c", false, false, false), Some(Key::Create));
        assert_eq!(key_of("t", false, false, false), None);
    }
}
