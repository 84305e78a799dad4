//! Short messages about what was done. The library's own viewer speaks English to screen readers.

use crate::i18n::use_i18n;
use gloo::timers::callback::Timeout;
use std::rc::Rc;
use yew::prelude::*;

const SHOWN_MS: u32 = 6_000;

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

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Toasts {
    last: u32,
    shown: Vec<(u32, Tone, AttrValue)>,
}

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

type Dispatcher = UseReducerDispatcher<Toasts>;

/// Only the way to show one: who shows a toast is not drawn anew for it.
#[derive(Clone, PartialEq)]
struct Toaster(Dispatcher);

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ToastProviderProps {
    pub children: Html,
}

#[component]
pub fn ToastProvider(props: &ToastProviderProps) -> Html {
    let toasts = use_reducer(Toasts::default);
    let dispatcher = toasts.dispatcher();
    let items = toasts.shown.iter().map(|(id, tone, text)| {
        html! { <ToastItem key={*id} id={*id} tone={*tone} text={text} /> }
    });
    html! {
        <ContextProvider<Toaster> context={Toaster(dispatcher.clone())}>
            { props.children.clone() }
            <ul class="pf-v6-c-alert-group pf-m-toast" role="list" aria-live="polite" aria-relevant="additions">
                { for items }
            </ul>
        </ContextProvider<Toaster>>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ToastItemProps {
    id: u32,
    tone: Tone,
    text: AttrValue,
}

#[component]
fn ToastItem(props: &ToastItemProps) -> Html {
    let i18n = use_i18n();
    let toaster = use_context::<Toaster>();
    let remove = {
        let id = props.id;
        Callback::from(move |()| {
            if let Some(Toaster(dispatcher)) = &toaster {
                dispatcher.dispatch(ToastAction::Remove(id));
            }
        })
    };
    // What went wrong stays until it was read.
    let timer = (props.tone == Tone::Success).then(|| remove.clone());
    use_effect_with((), move |()| {
        let timer = timer.map(|remove| Timeout::new(SHOWN_MS, move || remove.emit(())));
        move || drop(timer)
    });
    html! {
        <li class="pf-v6-c-alert-group__item">
            <div class={classes!("pf-v6-c-alert", props.tone.class())}>
                <div class="pf-v6-c-alert__icon"><i class={props.tone.icon()} aria-hidden="true" /></div>
                <p class="pf-v6-c-alert__title">{ &props.text }</p>
                <div class="pf-v6-c-alert__action">
                    <button
                        class="pf-v6-c-button pf-m-plain"
                        type="button"
                        aria-label={i18n.t("app.dismiss")}
                        onclick={remove.reform(|_| ())}
                    >
                        <i class="fas fa-times" aria-hidden="true" />
                    </button>
                </div>
            </div>
        </li>
    }
}

#[hook]
pub fn use_toast() -> Callback<(Tone, AttrValue)> {
    let toaster = use_context::<Toaster>();
    Callback::from(move |(tone, text)| {
        if let Some(Toaster(dispatcher)) = &toaster {
            dispatcher.dispatch(ToastAction::Show(tone, text));
        }
    })
}
