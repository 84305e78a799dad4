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

/// A message, and the way to undo what it tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    pub tone: Tone,
    pub text: AttrValue,
    pub on_undo: Option<Callback<()>>,
}

impl From<(Tone, AttrValue)> for Toast {
    fn from((tone, text): (Tone, AttrValue)) -> Self {
        Self { tone, text, on_undo: None }
    }
}

/// The messages that are shown, each with its number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Toasts {
    last: u32,
    pub shown: Vec<(u32, Toast)>,
}

/// A change of the messages that are shown.
#[derive(Clone, Debug)]
pub enum ToastAction {
    Show(Toast),
    Remove(u32),
}

impl Reducible for Toasts {
    type Action = ToastAction;

    fn reduce(self: Rc<Self>, action: ToastAction) -> Rc<Self> {
        let mut next = (*self).clone();
        match action {
            ToastAction::Show(toast) => {
                next.last += 1;
                // The same text is shown once, and begins again.
                next.shown.retain(|(_, other)| other.text != toast.text);
                next.shown.push((next.last, toast));
            }
            ToastAction::Remove(id) => next.shown.retain(|(other, _)| *other != id),
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
    use_full_toast().reform(Toast::from)
}

/// Returns a callback that shows a message which may be undone.
#[hook]
pub fn use_full_toast() -> Callback<Toast> {
    let toaster = use_context::<Toaster>();
    Callback::from(move |toast| {
        if let Some(Toaster(dispatcher)) = &toaster {
            dispatcher.dispatch(ToastAction::Show(toast));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_shown_once() {
        let show = |toasts: Rc<Toasts>, text| {
            toasts.reduce(ToastAction::Show((Tone::Success, AttrValue::Static(text)).into()))
        };
        let toasts = show(show(show(Rc::default(), "a"), "b"), "a");
        let shown: Vec<_> = toasts.shown.iter().map(|(id, toast)| (*id, toast.text.as_str())).collect();
        assert_eq!(shown, [(2, "b"), (3, "a")]);
    }
}
