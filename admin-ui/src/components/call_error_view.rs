use crate::api::{CallError, Reason, TIMEOUT_S};
use crate::i18n::{I18n, use_i18n};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CallErrorViewProps {
    pub error: Rc<CallError>,
    pub on_retry: Callback<()>,
}

/// What went wrong, what to do about it, and what an administrator needs to be told.
#[component]
pub fn CallErrorView(props: &CallErrorViewProps) -> Html {
    let i18n = use_i18n();
    let (title, advice) = explain(&i18n, &props.error.reason);
    let details = details(&i18n, &props.error).into_iter().map(|(term, value)| {
        html! { <DescriptionGroup {term}><span class="tm-address">{ value }</span></DescriptionGroup> }
    });
    html! {
        <Card>
            <CardBody>
                // Not the library's `Alert`: that one speaks English to screen readers.
                <div class="pf-v6-c-alert pf-m-inline pf-m-plain pf-m-danger" role="alert">
                    <div class="pf-v6-c-alert__icon">{ Icon::ExclamationCircle }</div>
                    <h2 class="pf-v6-c-alert__title">{ title }</h2>
                    <div class="pf-v6-c-alert__description">{ advice }</div>
                </div>
            </CardBody>
            <CardBody>
                <DescriptionList compact=true mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                    { for details }
                </DescriptionList>
            </CardBody>
            <CardFooter>
                <Button
                    variant={ButtonVariant::Primary}
                    label={i18n.t("async.retry").to_string()}
                    onclick={props.on_retry.reform(|_| ())}
                />
            </CardFooter>
        </Card>
    }
}

fn explain(i18n: &I18n, reason: &Reason) -> (AttrValue, AttrValue) {
    let seconds = TIMEOUT_S.to_string();
    match reason {
        Reason::Unreachable => (i18n.t("error.unreachable"), i18n.t("error.unreachable-advice")),
        Reason::TimedOut => {
            (i18n.t("error.timed-out"), i18n.fill("error.timed-out-advice", &[("seconds", &seconds)]))
        }
        Reason::Refused { status: 500.., .. } => (i18n.t("error.failed"), i18n.t("error.failed-advice")),
        Reason::Refused { .. } => (i18n.t("error.refused"), i18n.t("error.refused-advice")),
        Reason::Unreadable { .. } => (i18n.t("error.unreadable"), i18n.t("error.unreadable-advice")),
    }
}

/// Terms and values, as far as they are known.
fn details(i18n: &I18n, error: &CallError) -> Vec<(AttrValue, String)> {
    let mut details = vec![(i18n.t("error.address"), error.url.clone())];
    if let Reason::Refused { status, .. } | Reason::Unreadable { status } = &error.reason {
        details.push((i18n.t("error.status"), status.to_string()));
    }
    if let Reason::Refused { envelope: Some(envelope), .. } = &error.reason {
        details.push((i18n.t("error.message"), format!("{}: {}", envelope.error, envelope.message)));
        details.push((i18n.t("error.code"), envelope.code.clone()));
        details.push((i18n.t("error.request-id"), envelope.request_id.clone()));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::preferences::Language;
    use domain::error::ApiError;

    #[test]
    fn the_request_id_of_an_envelope_is_shown() {
        let envelope = Some(ApiError::InternalServerError.envelope("req_7"));
        let reason = Reason::Refused { status: 500, envelope };
        let error = CallError { url: "https://api.example/health".to_owned(), reason };
        let shown = details(&I18n::new(Language::English), &error);
        assert!(shown.contains(&("Request id".into(), "req_7".to_owned())), "{shown:?}");
    }
}
