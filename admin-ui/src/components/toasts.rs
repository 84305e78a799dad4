//! Shows toasts: the short messages of `state::toasts`.

use super::Notice;
use crate::i18n::use_i18n;
use crate::state::toasts::{ToastAction, Toaster, Toasts, Tone};
use gloo::timers::callback::Timeout;
use patternfly_yew::prelude::{Button, ButtonVariant, Icon};
use yew::prelude::*;

const SHOWN_MS: u32 = 6_000;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ToastProviderProps {
    pub children: Html,
}

/// Shows messages over everything inside it.
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
    // A message about a failure stays until it is dismissed.
    let timer = (props.tone == Tone::Success).then(|| remove.clone());
    use_effect_with((), move |()| {
        let timer = timer.map(|remove| Timeout::new(SHOWN_MS, move || remove.emit(())));
        move || drop(timer)
    });
    let action = html! {
        <Button
            variant={ButtonVariant::Plain}
            icon={Icon::Times}
            aria_label={i18n.t("app.dismiss")}
            onclick={remove.reform(|_| ())}
        />
    };
    html! {
        <li class="pf-v6-c-alert-group__item">
            <Notice tone={props.tone} title={&props.text} is_inline=false {action} />
        </li>
    }
}
