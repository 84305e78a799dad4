//! A page's form for a new thing.

use serde::Deserialize;
use yew::prelude::*;
use yew_router::prelude::*;

/// The part of the address that asks for the form.
#[derive(Default, PartialEq, Deserialize)]
struct Asked {
    #[serde(default)]
    act: Option<String>,
}

/// Keeps whether the form for a new thing is open. An address with `?act=create` opens it for those who may.
#[hook]
pub fn use_creating(may_create: bool) -> UseStateHandle<bool> {
    let is_creating = use_state_eq(|| false);
    let location = use_location();
    let asked = location.as_ref().and_then(|location| location.query::<Asked>().ok()).unwrap_or_default();
    let is_asked = may_create && asked.act.as_deref() == Some("create");
    let setter = is_creating.setter();
    // The same address counts again when somebody goes there again.
    use_effect_with((location.and_then(|location| location.id()), is_asked), move |(_, is_asked)| {
        if *is_asked {
            setter.set(true);
        }
    });
    is_creating
}
