//! The credentials of a pool on a route's page: which of them served the last calls, and when one was refused.

use super::credential::kind_name;
use crate::api::use_api;
use crate::components::{AsyncView, Time};
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::use_i18n;
use contract::usage::{CallPage, CallView, EventQuery, ListEvents};
use domain::credential::pool::ShownPool;
use domain::id::RouteId;
use domain::time::UnixMs;
use std::rc::Rc;
use yew::prelude::*;

/// The calls that are looked at.
const CALLS: u32 = 200;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PoolStateProps {
    pub route: RouteId,
    pub pool: ShownPool,
}

/// The fate of a credential in the last calls.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    served: u64,
    refused: u64,
    /// When it was refused last, and the upstream's status.
    last: Option<(UnixMs, u16)>,
}

impl Standing {
    /// Counts `calls`, the newest first.
    fn of(name: &str, calls: &[CallView]) -> Self {
        let mut standing = Self::default();
        for call in calls {
            standing.served += u64::from(call.credential.as_deref() == Some(name));
            for refused in call.refused.iter().filter(|refused| &*refused.credential == name) {
                standing.refused += 1;
                standing.last = standing.last.or(Some((call.at, refused.status)));
            }
        }
        standing
    }
}

/// Lists the credentials of a pool with what became of them.
#[component]
pub fn PoolState(props: &PoolStateProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let calls = use_remote(props.route.clone(), move |route| {
        let api = api.clone();
        async move {
            let query = EventQuery { route_id: Some(route), limit: Some(CALLS), ..EventQuery::default() };
            api.request::<ListEvents>().query(&query).send().await
        }
    });
    let render = {
        let pool = props.pool.clone();
        Callback::from(move |page: Rc<CallPage>| {
            let members = pool.members.iter().map(|member| {
                let Standing { served, refused, last } = Standing::of(&member.name, &page.items);
                let [served, refused] = [served, refused].map(|count| format::number(&i18n, count));
                html! {
                    <li>
                        <strong>{ &member.name }</strong>{ " · " }{ kind_name(&i18n, member.kind) }{ " · " }
                        { i18n.fill("credential.served", &[("served", &served), ("refused", &refused)]) }
                        if let Some((at, status)) = last {
                            { " · " }{ i18n.fill("credential.last-refusal", &[("status", &status.to_string())]) }{ " " }<Time {at} />
                        }
                    </li>
                }
            });
            let count = format::number(&i18n, page.items.len() as u64);
            html! {
                <>
                    <ol class="tm-members">{ for members }</ol>
                    <p class="tm-subtle">
                        if page.items.is_empty() { { i18n.t("credential.no-calls") } } else { { i18n.fill("credential.of-calls", &[("count", &count)]) } }{ " " }
                        { if pool.in_turn { i18n.t("credential.is-in-turn") } else { i18n.t("credential.is-in-order") } }
                    </p>
                </>
            }
        })
    };
    html! { <AsyncView<CallPage> state={calls.state} on_retry={calls.on_refresh.clone()} {render} /> }
}
