//! The message about a call that failed.

use crate::api::{CallError, Reason, TIMEOUT_S};
use crate::components::{Button, CopyButton, Notice};
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::Tone;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CallErrorViewProps {
    pub error: Rc<CallError>,
    /// Tries again. A form has its own button and leaves this out.
    #[prop_or_default]
    pub on_retry: Option<Callback<()>>,
}

/// Shows the error and the way to react to it, with the details that an administrator needs.
#[component]
pub fn CallErrorView(props: &CallErrorViewProps) -> Html {
    let i18n = use_i18n();
    let (title, advice) = explain(&i18n, &props.error);
    let details = details(&i18n, &props.error).into_iter().map(|(term, value)| {
        html! { <DescriptionGroup {term}><span class="tm-address">{ value }</span></DescriptionGroup> }
    });
    let request_id = request_id(&props.error).map(|id| {
        html! {
            <DescriptionGroup term={i18n.t("error.request-id")}>
                <span class="tm-address">{ id }</span>
                <CopyButton text={id.to_owned()} label={i18n.t("error.copy-request-id")} />
            </DescriptionGroup>
        }
    });
    html! {
        <div class="tm-error">
            <Notice tone={Tone::Danger} {title} role="alert">
                <p>{ advice }</p>
                <details class="tm-details">
                    <summary>{ i18n.t("error.details") }</summary>
                    <DescriptionList compact=true mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                        { for details }
                        { request_id.unwrap_or_default() }
                    </DescriptionList>
                </details>
            </Notice>
            // Asking again does not change a role.
            if let Some(on_retry) = props.on_retry.as_ref().filter(|_| props.error.status() != Some(403)) {
                <Button
                    variant={ButtonVariant::Primary}
                    label={i18n.t("async.retry").to_string()}
                    onclick={on_retry.reform(|_| ())}
                />
            }
        </div>
    }
}

fn explain(i18n: &I18n, error: &CallError) -> (AttrValue, AttrValue) {
    let seconds = TIMEOUT_S.to_string();
    match &error.reason {
        Reason::Unreachable => (i18n.t("error.unreachable"), i18n.t("error.unreachable-advice")),
        Reason::TimedOut => {
            (i18n.t("error.timed-out"), i18n.fill("error.timed-out-advice", &[("seconds", &seconds)]))
        }
        Reason::Refused { status: 500.., .. } => (i18n.t("error.failed"), i18n.t("error.failed-advice")),
        Reason::Refused { status: 403, .. } => (i18n.t("error.forbidden"), i18n.t("error.forbidden-advice")),
        Reason::Refused { status: 404, .. } => (i18n.t("error.not-found"), i18n.t("error.not-found-advice")),
        Reason::Refused { status: 412, .. } => (i18n.t("error.overtaken"), i18n.t("error.overtaken-advice")),
        Reason::Refused { status: 409 | 422, envelope: Some(envelope) } => {
            let said = envelope.details.first().map(|detail| i18n.problem(&detail.problem));
            (i18n.t("error.invalid"), said.unwrap_or_else(|| envelope.message.clone().into()))
        }
        Reason::Refused { .. } => (i18n.t("error.refused"), i18n.t("error.refused-advice")),
        Reason::Unreadable { .. } => (i18n.t("error.unreadable"), i18n.t("error.unreadable-advice")),
    }
}

fn request_id(error: &CallError) -> Option<&str> {
    match &error.reason {
        Reason::Refused { envelope: Some(envelope), .. } => Some(&envelope.request_id),
        _ => None,
    }
}

/// Terms and values, as far as they are known.
fn details(i18n: &I18n, error: &CallError) -> Vec<(AttrValue, String)> {
    let mut details = vec![(i18n.t("error.address"), error.url.clone())];
    if let Some(status) = error.status() {
        details.push((i18n.t("error.status"), status.to_string()));
    }
    if let Reason::Refused { envelope: Some(envelope), .. } = &error.reason {
        details.push((i18n.t("error.message"), format!("{}: {}", envelope.error, envelope.message)));
        for field in &envelope.details {
            details.push((i18n.t("error.field"), format!("{}: {}", field.field, field.problem.message)));
        }
        details.push((i18n.t("error.code"), envelope.code.clone()));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::error::ApiError;

    #[test]
    fn the_request_id_of_an_envelope_is_shown() {
        let envelope = Some(ApiError::InternalServerError.envelope("req_7"));
        let reason = Reason::Refused { status: 500, envelope };
        let error = CallError { url: "https://api.example/health".to_owned(), reason };
        assert_eq!(request_id(&error), Some("req_7"));
    }
}
