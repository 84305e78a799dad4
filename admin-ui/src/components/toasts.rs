//! Shows toasts: the short messages of `state::toasts`.

use super::{Button, Notice};
use crate::i18n::use_i18n;
use crate::state::toasts::{Toast, ToastAction, Toaster, Toasts, Tone};
use gloo::timers::callback::Timeout;
use patternfly_yew::prelude::{ButtonVariant, Icon};
use yew::prelude::*;

const SHOWN_MS: u32 = 6_000;
const UNDO_MS: u32 = 10_000;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ToastProviderProps {
    pub children: Html,
}

/// Shows messages below everything inside it. They take their room from the page, so they cover nothing.
#[component]
pub fn ToastProvider(props: &ToastProviderProps) -> Html {
    let toasts = use_reducer(Toasts::default);
    let dispatcher = toasts.dispatcher();
    let items = toasts.shown.iter().map(|(id, toast)| {
        html! { <ToastItem key={*id} id={*id} toast={toast.clone()} /> }
    });
    html! {
        <ContextProvider<Toaster> context={Toaster(dispatcher.clone())}>
            { props.children.clone() }
            <ul class="tm-toasts" role="list" aria-live="polite" aria-relevant="additions">
                { for items }
            </ul>
        </ContextProvider<Toaster>>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ToastItemProps {
    id: u32,
    toast: Toast,
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
    let Toast { tone, text, on_undo } = props.toast.clone();
    // A message about a failure stays until it is dismissed.
    let timer = (tone == Tone::Success).then(|| remove.clone());
    let shown_ms = if on_undo.is_some() { UNDO_MS } else { SHOWN_MS };
    use_effect_with((), move |()| {
        let timer = timer.map(|remove| Timeout::new(shown_ms, move || remove.emit(())));
        move || drop(timer)
    });
    let undo = on_undo.map(|on_undo| {
        let remove = remove.clone();
        let onclick = Callback::from(move |_: MouseEvent| {
            on_undo.emit(());
            remove.emit(());
        });
        html! { <Button variant={ButtonVariant::InlineLink} label={i18n.t("app.undo").to_string()} {onclick} /> }
    });
    let action = html! {
        <>
            { undo.unwrap_or_default() }
            <Button
                variant={ButtonVariant::Plain}
                icon={Icon::Times}
                aria_label={i18n.t("app.dismiss")}
                onclick={remove.reform(|_| ())}
            />
        </>
    };
    html! { <li><Notice {tone} title={text} is_inline=false {action} /></li> }
}
