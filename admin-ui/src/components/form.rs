//! Forms: the draft that is typed in, its errors, and the request that sends it.

mod conflict;

pub use conflict::{DraftField, use_conflict};

use super::{Button, CallErrorView, Dialog, Notice, error_of, error_within};
use crate::api::CallError;
use crate::hooks::{Action, use_action};
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::{Tone, saved, use_toast};
use contract::Propagation;
use domain::error::FieldError;
use domain::problem::Problem;
use gloo::timers::callback::Timeout;
use gloo::utils::document;
use patternfly_yew::prelude::{ButtonType, ButtonVariant};
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};
use yew::prelude::*;

/// A form as it is now.
#[derive(Debug)]
pub struct Form<D: 'static> {
    draft: UseStateHandle<D>,
    /// The draft of the last render, for what happens after it.
    latest: Rc<RefCell<D>>,
    /// Fields that were refused: by the rules that this page knows, else by the API.
    pub errors: Vec<FieldError>,
    pub submission: Submission,
}

/// The way to send a form, and the result of the last try.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submission {
    pub is_busy: bool,
    /// Why the last try failed, unless a field shows it.
    pub failure: Option<Rc<CallError>>,
    pub on_submit: Callback<()>,
    /// Whether input would be lost if the dialog closed.
    pub is_dirty: bool,
    /// The number of tries in which a field was refused; at each, the first such field gets the focus.
    pub refusals: u32,
    /// The fields that were refused in the last try.
    pub refused: Vec<FieldError>,
    /// Whether the form reads the newer version of what it changes, should there be one.
    pub is_merging: bool,
    /// The changes that somebody else has made meanwhile, if the last try found some.
    pub conflict: Option<Html>,
    /// Emits if the dialog closes although the page behind shows an older state.
    pub on_abandon: Option<Callback<()>>,
}

impl From<Action<()>> for Submission {
    fn from(action: Action<()>) -> Self {
        Self { is_busy: action.is_busy, failure: action.error, on_submit: action.on_run, ..Self::default() }
    }
}

impl<D: Clone + PartialEq> Form<D> {
    pub fn draft(&self) -> &D {
        &self.draft
    }

    /// Returns a callback that makes `change` to the draft.
    pub fn set<V: 'static>(&self, change: fn(&mut D, V)) -> Callback<V> {
        let (latest, setter) = (Rc::clone(&self.latest), self.draft.setter());
        Callback::from(move |input| {
            change(&mut latest.borrow_mut(), input);
            setter.set(latest.borrow().clone());
        })
    }

    /// The problem of `field`, if it was refused.
    pub fn error(&self, field: &str) -> Option<Problem> {
        error_of(&self.errors, field)
    }

    /// The problem of any element of `field`.
    pub fn error_within(&self, field: &str) -> Option<Problem> {
        error_within(&self.errors, field)
    }
}

/// Returns a callback that emits `value` with `change` made to it.
pub fn edit<T: Clone + 'static, V: 'static>(
    value: &T,
    on_change: &Callback<T>,
    change: impl Fn(&mut T, V) + 'static,
) -> Callback<V> {
    let value = value.clone();
    on_change.reform(move |input| {
        let mut value = value.clone();
        change(&mut value, input);
        value
    })
}

/// Returns `new` if it differs: a request for a change names only such fields.
pub fn changed<T: PartialEq>(old: &T, new: T) -> Option<T> {
    (*old != new).then_some(new)
}

/// Says whether a switch is on.
pub fn switch(i18n: &I18n, is_on: bool) -> String {
    if is_on { i18n.t("app.on") } else { i18n.t("app.off") }.to_string()
}

/// Returns the text without space around it, or `None` if nothing is left.
pub fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Keeps a draft. Submitting turns it into a request with `check`, sends that and passes the response to `on_done`.
/// Once `check` has refused a draft, it checks every change of it, so that an error goes when it is mended.
#[hook]
pub fn use_form<D, R, T, I, C, S, Fut>(initial: I, check: C, send: S, on_done: Callback<T>) -> Form<D>
where
    D: Clone + PartialEq + 'static,
    R: 'static,
    T: 'static,
    I: FnOnce() -> D,
    C: Fn(&D) -> Result<R, Vec<FieldError>> + 'static,
    S: Fn(R) -> Fut + 'static,
    Fut: Future<Output = Result<T, CallError>> + 'static,
{
    let first = use_memo((), |()| initial());
    let draft = use_state_eq(|| (*first).clone());
    let latest = use_mut_ref(|| (*first).clone());
    let is_checked = use_state_eq(|| false);
    let sent = use_state_eq(|| None::<D>);
    let refusals = use_state_eq(|| 0_u32);
    let action = use_action(send, on_done);
    let found = if *is_checked { check(&draft).err().unwrap_or_default() } else { vec![] };
    // What the API refused concerns the draft that was sent.
    let refused = action.error.as_ref().filter(|_| sent.as_ref() == Some(&*draft));
    let refused = refused.map(|error| error.fields().to_vec()).unwrap_or_default();
    {
        let (refusals, count) = (refusals.setter(), *refusals + 1);
        use_effect_with(action.error.clone(), move |error| {
            if error.as_ref().is_some_and(|error| !error.fields().is_empty()) {
                refusals.set(count);
            }
        });
    }
    let on_submit = {
        let (latest, is_checked, sent) = (Rc::clone(&latest), is_checked.setter(), sent.setter());
        let (refusals, count, on_run) = (refusals.setter(), *refusals + 1, action.on_run);
        Callback::from(move |()| {
            let draft = latest.borrow().clone();
            let checked = check(&draft);
            is_checked.set(checked.is_err());
            match checked {
                Ok(request) => {
                    sent.set(Some(draft));
                    on_run.emit(request);
                }
                Err(_) => refusals.set(count),
            }
        })
    };
    let errors = if *is_checked { found } else { refused };
    let submission = Submission {
        is_busy: action.is_busy,
        failure: action.error.filter(|error| error.fields().is_empty()),
        on_submit,
        is_dirty: *draft != *first,
        refusals: *refusals,
        refused: errors.clone(),
        ..Submission::default()
    };
    Form { draft, latest, errors, submission }
}

/// Returns a callback that reports a saved change, makes the page read it again and closes the dialog.
#[hook]
pub fn use_saved(on_changed: &Callback<()>, on_close: &Callback<()>) -> Callback<Propagation> {
    let (i18n, toast) = (use_i18n(), use_toast());
    let (on_changed, on_close) = (on_changed.clone(), on_close.clone());
    Callback::from(move |propagation| {
        toast.emit(saved(&i18n, propagation));
        on_changed.emit(());
        on_close.emit(());
    })
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct FormDialogProps {
    pub title: AttrValue,
    /// The name of the button that submits.
    pub label: AttrValue,
    pub submission: Submission,
    pub on_close: Callback<()>,
    #[prop_or_default]
    pub is_disabled: bool,
    #[prop_or_default]
    pub is_danger: bool,
    #[prop_or_default]
    pub is_wide: bool,
    pub children: Html,
}

/// A dialog with a form in it. Its footer, which is always in view, has the buttons and what no field shows: the
/// reason of a failure, the changes of somebody else, the question whether input may be lost.
#[component]
pub fn FormDialog(props: &FormDialogProps) -> Html {
    let i18n = use_i18n();
    let Submission {
        is_busy,
        failure,
        on_submit,
        is_dirty,
        refusals,
        refused,
        is_merging,
        conflict,
        on_abandon,
    } = props.submission.clone();
    let (fields, is_asking) = (use_node_ref(), use_state_eq(|| false));
    let unplaced = use_focus_on_refused(&fields, refusals);
    let on_discard = {
        let on_close = props.on_close.clone();
        Callback::from(move |()| {
            if let Some(on_abandon) = &on_abandon {
                on_abandon.emit(());
            }
            on_close.emit(());
        })
    };
    let on_close = {
        let (is_asking, on_discard) = (is_asking.clone(), on_discard.clone());
        Callback::from(move |()| if is_dirty { is_asking.set(!*is_asking) } else { on_discard.emit(()) })
    };
    let failure = failure.filter(|error| !is_merging || error.status() != Some(412));
    let is_unplaced = unplaced == refusals && !refused.is_empty();
    let footer = html! {
        <>
            <div class="tm-dialog__alert">
                { conflict.unwrap_or_default() }
                if let Some(error) = failure {
                    <CallErrorView {error} />
                }
                if is_unplaced {
                    <Notice tone={Tone::Danger} title={i18n.t("error.invalid")} role="alert">
                        { for refused.iter().map(|error| html! { <p>{ &error.field }{ i18n.t("app.colon") }{ i18n.problem(&error.problem) }</p> }) }
                    </Notice>
                }
            </div>
            if *is_asking {
                <AskDiscard {on_discard} on_keep={on_close.clone()} />
            } else {
                // Not disabled while busy: a disabled button loses the focus. A second try waits for the first.
                <Button
                    r#type={ButtonType::Submit}
                    variant={if props.is_danger { ButtonVariant::Danger } else { ButtonVariant::Primary }}
                    label={props.label.to_string()}
                    loading={is_busy}
                    disabled={props.is_disabled}
                />
                <Button
                    variant={ButtonVariant::Link}
                    label={i18n.t("app.cancel").to_string()}
                    onclick={on_close.reform(|_| ())}
                />
            }
        </>
    };
    html! {
        <Dialog title={&props.title} {footer} {on_close} {on_submit} is_wide={props.is_wide}>
            <div class="tm-form" ref={fields}>{ props.children.clone() }</div>
        </Dialog>
    }
}

/// Gives the focus to the first refused field at each refusal. Returns the last one whose field the form does not show.
#[hook]
fn use_focus_on_refused(fields: &NodeRef, refusals: u32) -> u32 {
    let unplaced = use_state_eq(|| 0_u32);
    let (fields, setter) = (fields.clone(), unplaced.setter());
    use_effect_with(refusals, move |refusals| {
        let refusals = *refusals;
        let timer = (refusals > 0).then(|| {
            Timeout::new(0, move || {
                if !focus_refused(&fields) {
                    setter.set(refusals);
                }
            })
        });
        move || drop(timer)
    });
    *unplaced
}

/// Gives the focus to the first refused field. Returns false if there is none.
fn focus_refused(fields: &NodeRef) -> bool {
    const REFUSED: &str = "[aria-invalid=true], [data-invalid=true]";
    let Some(fields) = fields.cast::<Element>() else { return false };
    let find = |selector: &str| fields.query_selector(selector).ok().flatten();
    // What is folded away cannot take the focus.
    while let Some(section) = find(&format!("details:not([open]):has({REFUSED})")) {
        if section.set_attribute("open", "").is_err() {
            break;
        }
    }
    let found = find(REFUSED).and_then(|field| field.dyn_into::<HtmlElement>().ok());
    found.is_some_and(|field| field.focus().is_ok())
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct AskDiscardProps {
    on_discard: Callback<()>,
    on_keep: Callback<()>,
}

/// Asks whether input may be lost. The focus is on keeping it, and returns to the input then.
#[component]
fn AskDiscard(props: &AskDiscardProps) -> Html {
    let i18n = use_i18n();
    let keep = use_node_ref();
    {
        let keep = keep.clone();
        use_effect_with((), move |()| {
            let before =
                document().active_element().and_then(|element| element.dyn_into::<HtmlElement>().ok());
            let _ = keep.cast::<HtmlElement>().map(|keep| keep.focus());
            move || {
                let _ = before.map(|element| element.focus());
            }
        });
    }
    html! {
        <>
            <strong class="tm-dialog__alert" role="alert">{ i18n.t("discard.ask") }</strong>
            <button
                ref={keep}
                type="button"
                class="pf-v6-c-button pf-m-primary"
                onclick={props.on_keep.reform(|_| ())}
            >
                <span class="pf-v6-c-button__text">{ i18n.t("discard.keep") }</span>
            </button>
            <Button
                variant={ButtonVariant::DangerSecondary}
                label={i18n.t("discard.discard").to_string()}
                onclick={props.on_discard.reform(|_| ())}
            />
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_a_change_names_only_what_differs() {
        assert_eq!(changed(&1, 1), None);
        assert_eq!(changed(&1, 2), Some(2));
        assert_eq!(filled("  a "), Some("a".to_owned()));
        assert_eq!(filled("  "), None);
    }
}
