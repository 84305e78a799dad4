//! The last hour's calls, shown before something stops working.

use super::AsyncView;
use crate::api::use_api;
use crate::clock;
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::use_i18n;
use contract::usage::{GetUsageStats, UsageQuery, UsageStats};
use domain::id::{RouteId, TokenId};
use domain::time::HOUR_MS;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RecentUseProps {
    #[prop_or_default]
    pub token_id: Option<TokenId>,
    #[prop_or_default]
    pub route_id: Option<RouteId>,
    /// Draws the calls, if there are any.
    pub render: Callback<Rc<UsageStats>, Html>,
}

/// Reads the last hour's calls of a token or of a route.
#[component]
pub fn RecentUse(props: &RecentUseProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let usage = use_remote((props.token_id.clone(), props.route_id.clone()), move |(token_id, route_id)| {
        let (api, from) = (api.clone(), Some((clock::now() - HOUR_MS).to_string()));
        let query = UsageQuery { token_id, route_id, from, ..UsageQuery::default() };
        async move { api.request::<GetUsageStats>().query(&query).send().await }
    });
    let render = props.render.clone();
    let render = Callback::from(move |stats: Rc<UsageStats>| {
        if stats.total.calls > 0 {
            return render.emit(stats);
        }
        let since = format::time(&i18n, stats.from);
        html! { <p>{ i18n.fill("revoke.unused", &[("since", &since)]) }</p> }
    });
    html! { <AsyncView<UsageStats> state={usage.state} on_retry={usage.on_refresh} {render} /> }
}
