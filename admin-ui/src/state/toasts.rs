//! Short messages about finished actions.

use crate::i18n::I18n;
use contract::Propagation;
use std::rc::Rc;
use yew::prelude::*;

/// How good the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Success,
    Warning,
    Danger,
}

impl Tone {
    pub const fn class(self) -> &'static str {
        match self {
            Self::Success => "pf-m-success",
            Self::Warning => "pf-m-warning",
            Self::Danger => "pf-m-danger",
        }
    }

    pub const fn icon(self) -> &'static str {
        match self {
            Self::Success => "fas fa-check-circle",
            Self::Warning => "fas fa-exclamation-triangle",
            Self::Danger => "fas fa-exclamation-circle",
        }
    }
}

/// The messages that are shown, each with its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Toasts {
    last: u32,
    pub shown: Vec<(u32, Tone, AttrValue)>,
}

/// A change of the messages that are shown.
#[derive(Clone, Debug)]
pub enum ToastAction {
    Show(Tone, AttrValue),
    Remove(u32),
}

impl Reducible for Toasts {
    type Action = ToastAction;

    fn reduce(self: Rc<Self>, action: ToastAction) -> Rc<Self> {
        let mut next = (*self).clone();
        match action {
            ToastAction::Show(tone, text) => {
                next.last += 1;
                next.shown.push((next.last, tone, text));
            }
            ToastAction::Remove(id) => next.shown.retain(|(other, ..)| *other != id),
        }
        Rc::new(next)
    }
}

pub type Dispatcher = UseReducerDispatcher<Toasts>;

/// The way to show a message, without the messages: a component that shows one is not drawn again for it.
#[derive(Clone, PartialEq)]
pub struct Toaster(pub Dispatcher);

/// Returns a callback that shows a message.
#[hook]
pub fn use_toast() -> Callback<(Tone, AttrValue)> {
    let toaster = use_context::<Toaster>();
    Callback::from(move |(tone, text)| {
        if let Some(Toaster(dispatcher)) = &toaster {
            dispatcher.dispatch(ToastAction::Show(tone, text));
        }
    })
}

/// Says that a change was saved, and whether the gateway has it yet.
pub fn saved(i18n: &I18n, propagation: Propagation) -> (Tone, AttrValue) {
    match propagation {
        Propagation::Published => (Tone::Success, i18n.t("saved.published")),
        Propagation::Pending => (Tone::Warning, i18n.t("saved.pending")),
    }
}
