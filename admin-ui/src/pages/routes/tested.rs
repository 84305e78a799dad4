//! The test call that is made as soon as a route is saved.

use super::credential::CredentialDraft;
use crate::api::CallError;
use crate::components::Notice;
use crate::format;
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::Tone;
use contract::routes::{RouteTested, RouteView};
use std::rc::Rc;
use yew::prelude::*;

/// A route, and the result of its test call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    pub route: Rc<RouteView>,
    /// The credential as it was typed in, without its secrets.
    pub credential: CredentialDraft,
    pub result: Result<RouteTested, Rc<CallError>>,
}

impl Tested {
    fn status(&self) -> Option<u16> {
        self.result.as_ref().ok().and_then(|tested| tested.status)
    }

    fn is_refused(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Whether the upstream accepts the credential. That it knows no such path says nothing about it.
    pub fn is_accepted(&self) -> bool {
        self.status().is_some_and(|status| status < 500) && !self.is_refused()
    }

    /// Says how it ended, in one line.
    pub fn text(&self, i18n: &I18n) -> AttrValue {
        match &self.result {
            Ok(RouteTested { status: Some(status), latency_ms, .. }) => i18n.fill(
                "tested.status",
                &[
                    ("status", &status.to_string()),
                    ("time", &format::milliseconds(i18n, u64::from(*latency_ms))),
                ],
            ),
            Ok(tested) => i18n.fill("tested.none", &[("why", &i18n.outcome(tested.outcome.as_str()))]),
            Err(_) => i18n.t("tested.unknown"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TestedNoticeProps {
    pub tested: Tested,
}

/// Says that a route was saved although its test call failed, and what to look at.
#[component]
pub fn TestedNotice(props: &TestedNoticeProps) -> Html {
    let i18n = use_i18n();
    let tested = &props.tested;
    let advice =
        if tested.is_refused() { i18n.t("tested.check-credential") } else { i18n.t("tested.check-address") };
    let url = tested.result.as_ref().map(|tested| tested.url.clone()).unwrap_or_default();
    html! {
        <Notice tone={Tone::Warning} title={i18n.fill("tested.saved", &[("name", &tested.route.name)])} role="alert">
            <p>{ tested.text(&i18n) }{ " " }<code class="tm-address">{ url }</code></p>
            <p>{ advice }</p>
        </Notice>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_credential_is_refused_by_401_and_403_and_an_upstream_is_ill_from_500_on() {
        let route = serde_json::from_value::<RouteView>(json!({
            "id":"rte_1","name":"n","path":"/api/n","description":null,"tags":[],"methods":[],
            "enabled":true,"created_at":0,"updated_at":0,"version":1}));
        let route = Rc::new(route.unwrap());
        let tested = |status: Option<u16>| {
            let result = json!({"url":"u","status":status,"latency_ms":1,"outcome":"unreachable"});
            Tested {
                route: Rc::clone(&route),
                credential: CredentialDraft::default(),
                result: Ok(serde_json::from_value(result).unwrap()),
            }
        };
        let is_accepted = |status| tested(status).is_accepted();
        assert!([200, 302, 400, 404, 405, 429].map(Some).into_iter().all(is_accepted));
        assert!(![Some(401), Some(403), Some(500), Some(502), None].into_iter().any(is_accepted));
    }
}
