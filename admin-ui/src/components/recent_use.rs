//! The last month's calls, shown before something stops working.

use super::{AsyncView, Notice};
use crate::api::use_api;
use crate::clock;
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::Tone;
use contract::usage::{CallView, EventQuery, GetUsageStats, ListEvents, UsageQuery, UsageStats};
use domain::id::{RouteId, TokenId};
use domain::time::{DAY_MS, UnixMs};
use domain::usage::span::Interval;
use std::rc::Rc;
use yew::prelude::*;

/// A workflow that runs once a month still shows.
const DAYS: i64 = 30;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RecentUseProps {
    #[prop_or_default]
    pub token_id: Option<TokenId>,
    #[prop_or_default]
    pub route_id: Option<RouteId>,
    /// Draws a list of what was called, or of who called.
    pub render: Callback<Rc<UsageStats>, Html>,
}

/// The figures, and the last call if it is still kept.
type Found = (Rc<UsageStats>, Option<CallView>);

/// Reads the last month's calls of a token or of a route.
#[component]
pub fn RecentUse(props: &RecentUseProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let usage = use_remote((props.token_id.clone(), props.route_id.clone()), move |(token_id, route_id)| {
        let api = api.clone();
        let events = EventQuery {
            token_id: token_id.clone(),
            route_id: route_id.clone(),
            limit: Some(1),
            ..EventQuery::default()
        };
        let sums = UsageQuery {
            token_id,
            route_id,
            from: Some((clock::now() - DAYS * DAY_MS).to_string()),
            interval: Some(Interval::Day),
            ..UsageQuery::default()
        };
        async move {
            let stats = api.request::<GetUsageStats>().query(&sums).send().await?;
            let last = if stats.total.calls == 0 {
                None
            } else {
                // Only a detail: the figures are shown without it.
                api.request::<ListEvents>()
                    .query(&events)
                    .send()
                    .await
                    .ok()
                    .and_then(|page| page.items.into_iter().next())
            };
            Ok((Rc::new(stats), last))
        }
    });
    let render = props.render.clone();
    let render = Callback::from(move |found: Rc<Found>| {
        let (stats, last) = &*found;
        if stats.total.calls == 0 {
            return html! { <p>{ i18n.t("revoke.unused") }</p> };
        }
        let calls = format::number(&i18n, stats.total.calls);
        html! {
            <Notice tone={Tone::Warning} title={i18n.fill("revoke.used", &[("calls", &calls)])}>
                if let Some(last) = last {
                    <p class="tm-address">{ last_call(&i18n, last) }</p>
                }
                { by_day(&i18n, stats) }
                { render.emit(Rc::clone(stats)) }
            </Notice>
        }
    });
    html! { <AsyncView<Found> state={usage.state} on_retry={usage.on_refresh} {render} /> }
}

fn last_call(i18n: &I18n, call: &CallView) -> AttrValue {
    let unknown = || "–".to_owned();
    i18n.fill(
        "revoke.last",
        &[
            ("when", &format::date_time(i18n, call.at)),
            ("client", &call.user_agent.clone().unwrap_or_else(unknown)),
            ("ip", &call.client_ip.clone().unwrap_or_else(unknown)),
        ],
    )
}

/// A bar for each day.
fn by_day(i18n: &I18n, stats: &UsageStats) -> Html {
    let most = stats.series.iter().map(|bucket| bucket.figures.calls).max().unwrap_or_default().max(1);
    let first: UnixMs = stats.from;
    let bars = stats.series.iter().map(|bucket| {
        // A day with a single call still has a visible bar.
        let height = (bucket.figures.calls * 24).div_ceil(most);
        let (x, y) = ((bucket.at - first) / DAY_MS * 6, 24 - height);
        html! { <rect x={x.to_string()} y={y.to_string()} width="5" height={height.to_string()} /> }
    });
    html! {
        <svg class="tm-sparkline" viewBox="0 0 186 24" preserveAspectRatio="none" role="img" aria-label={i18n.t("revoke.by-day")}>{ for bars }</svg>
    }
}
