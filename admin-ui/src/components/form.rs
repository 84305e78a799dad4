//! Forms: the draft that is typed in, its errors, and the request that sends it.

use super::{CallErrorView, Dialog, error_of, error_within};
use crate::api::CallError;
use crate::hooks::{Action, use_action};
use crate::i18n::use_i18n;
use crate::state::toasts::{saved, use_toast};
use contract::Propagation;
use domain::error::FieldError;
use domain::problem::Problem;
use patternfly_yew::prelude::{Button, ButtonType, ButtonVariant};
use std::future::Future;
use std::rc::Rc;
use yew::prelude::*;

/// A form as it is now.
#[derive(Debug)]
pub struct Form<D: 'static> {
    draft: UseStateHandle<D>,
    /// Fields that were refused: by the rules that this page knows, else by the API.
    pub errors: Vec<FieldError>,
    pub submission: Submission,
}

/// The way to send a form, and the result of the last try.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    pub is_busy: bool,
    /// Why the last try failed, unless a field shows it.
    pub failure: Option<Rc<CallError>>,
    pub on_submit: Callback<()>,
}

impl From<Action<()>> for Submission {
    fn from(action: Action<()>) -> Self {
        Self { is_busy: action.is_busy, failure: action.error, on_submit: action.on_run }
    }
}

impl<D: Clone + PartialEq> Form<D> {
    pub fn draft(&self) -> &D {
        &self.draft
    }

    /// Returns a callback that makes `change` to the draft.
    pub fn set<V: 'static>(&self, change: fn(&mut D, V)) -> Callback<V> {
        let setter = self.draft.setter();
        edit(&*self.draft, &Callback::from(move |draft| setter.set(draft)), change)
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

/// Returns the text without space around it, or `None` if nothing is left.
pub fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Keeps a draft. Submitting turns it into a request with `check`, sends that and passes the response to `on_done`.
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
    let draft = use_state_eq(initial);
    let found = use_state_eq(Vec::<FieldError>::new);
    let action = use_action(send, on_done);
    let on_submit = {
        let (draft, found, on_run) = (draft.clone(), found.setter(), action.on_run);
        Callback::from(move |()| match check(&draft) {
            Ok(request) => {
                found.set(vec![]);
                on_run.emit(request);
            }
            Err(errors) => found.set(errors),
        })
    };
    let refused = action.error.as_ref().map(|error| error.fields().to_vec()).unwrap_or_default();
    let failure = action.error.filter(|_| refused.is_empty());
    let errors = if found.is_empty() { refused } else { (*found).clone() };
    Form { draft, errors, submission: Submission { is_busy: action.is_busy, failure, on_submit } }
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
pub struct FormFooterProps {
    /// The name of the button that submits.
    pub label: AttrValue,
    pub on_close: Callback<()>,
    #[prop_or_default]
    pub is_busy: bool,
    #[prop_or_default]
    pub is_disabled: bool,
    #[prop_or_default]
    pub is_danger: bool,
}

/// The buttons of a form: submit, cancel.
#[component]
pub fn FormFooter(props: &FormFooterProps) -> Html {
    let i18n = use_i18n();
    html! {
        <>
            <Button
                r#type={ButtonType::Submit}
                variant={if props.is_danger { ButtonVariant::Danger } else { ButtonVariant::Primary }}
                label={props.label.to_string()}
                loading={props.is_busy}
                disabled={props.is_busy || props.is_disabled}
            />
            <Button
                variant={ButtonVariant::Link}
                label={i18n.t("app.cancel").to_string()}
                onclick={props.on_close.reform(|_| ())}
            />
        </>
    }
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

/// A dialog with a form in it, its buttons, and the error that no field shows.
#[component]
pub fn FormDialog(props: &FormDialogProps) -> Html {
    let Submission { is_busy, failure, on_submit } = props.submission.clone();
    let footer = html! {
        <FormFooter
            label={&props.label}
            on_close={props.on_close.clone()}
            {is_busy}
            is_disabled={props.is_disabled}
            is_danger={props.is_danger}
        />
    };
    html! {
        <Dialog title={&props.title} {footer} on_close={props.on_close.clone()} {on_submit} is_wide={props.is_wide}>
            <div class="tm-form">
                { props.children.clone() }
                if let Some(error) = failure {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
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
