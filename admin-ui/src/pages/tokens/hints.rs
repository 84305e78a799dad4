//! Hints on a token that could be narrower.

use crate::api::use_api;
use crate::clock;
use crate::components::{Notice, ScopeLabel, name_of, opened};
use crate::hooks::use_remote;
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::Tone;
use contract::routes::RouteView;
use contract::tokens::TokenView;
use contract::usage::{GetUsageStats, UsageQuery, UsageStats};
use domain::access::record::TokenState;
use domain::id::TokenId;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::span::Interval;
use std::rc::Rc;
use yew::prelude::*;

/// A workflow that runs once a month still counts.
const DAYS: i64 = 30;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct HintsProps {
    pub token: Rc<TokenView>,
    pub routes: Rc<Vec<RouteView>>,
}

/// Says if a token never ends, and which of its routes and scopes the last month's calls did not need.
#[component]
pub fn Hints(props: &HintsProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let usage = use_remote(props.token.id.clone(), move |id: TokenId| {
        let api = api.clone();
        let query = UsageQuery {
            token_id: Some(id),
            from: Some((clock::now() - DAYS * DAY_MS).to_string()),
            interval: Some(Interval::Day),
            ..UsageQuery::default()
        };
        async move { api.request::<GetUsageStats>().query(&query).send().await }
    });
    let mut hints = vec![];
    if props.token.expires_at.is_none() {
        hints.push(html! { <li>{ i18n.t("token.never-advice") }</li> });
    }
    if let Some(stats) = usage.state.ready() {
        let unused = unused(&props.token, &props.routes, stats, clock::now());
        hints.extend(unused.map(|unused| unused_view(&i18n, &unused, &props.routes)));
    }
    html! {
        if props.token.state == TokenState::Active && !hints.is_empty() {
            <Notice tone={Tone::Warning} title={i18n.t("hints.title")}><ul class="pf-v6-c-list">{ for hints }</ul></Notice>
        }
    }
}

/// The part of a token's reach that its calls did not need.
#[derive(Debug, PartialEq, Eq)]
struct Unused<'a> {
    used: usize,
    all: usize,
    /// Scopes of which no route was called.
    scopes: Vec<&'a String>,
}

/// Returns what a token may call and did not; nothing of a token that made no call, or is younger than the period.
fn unused<'a>(
    token: &'a TokenView,
    routes: &[RouteView],
    stats: &UsageStats,
    now: UnixMs,
) -> Option<Unused<'a>> {
    let is_used =
        |route: &RouteView| stats.by_route.iter().any(|used| used.route_id.as_ref() == Some(&route.id));
    let open = opened(&token.scopes, routes);
    let (used, all) = (open.iter().filter(|(route, _)| is_used(route)).count(), open.len());
    if used == 0 || used == all || token.created_at > now - DAYS * DAY_MS {
        return None;
    }
    let idle = |scope: &&String| {
        let opens = opened(std::slice::from_ref(*scope), routes);
        !opens.is_empty() && !opens.iter().any(|(route, _)| is_used(route))
    };
    Some(Unused { used, all, scopes: token.scopes.iter().filter(idle).collect() })
}

fn unused_view(i18n: &I18n, unused: &Unused<'_>, routes: &[RouteView]) -> Html {
    let (used, all) = (unused.used.to_string(), unused.all.to_string());
    let scopes = unused.scopes.iter().map(|scope| html! { <ScopeLabel scope={name_of(scope, routes)} /> });
    html! {
        <li>
            { i18n.fill("hints.used", &[("used", &used), ("all", &all)]) }
            if !unused.scopes.is_empty() {
                { " " }{ i18n.t("hints.idle") }{ " " }<span class="tm-labels">{ for scopes }</span>
            }
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn routes_and_scopes_that_no_call_needed_are_named_once_the_token_is_old_enough() {
        let route = |id: &str| -> RouteView {
            read(
                json!({"id":id,"name":id,"path":format!("/api/{id}"),"description":null,"tags":[],"methods":[],
                "enabled":true,"created_at":0,"updated_at":0,"version":1}),
            )
        };
        let routes = ["a", "b", "c"].map(route);
        let token: TokenView =
            read(json!({"id":"tok_1","name":"n","team_id":"ops","scopes":["a","b"],"ip_allow":[],
            "limits":{},"inject_faults":false,"state":"active","created_at":0,"updated_at":0,"version":1}));
        let stats = |ids: &[&str]| -> UsageStats {
            let figures = serde_json::to_value(contract::usage::Figures::default()).unwrap();
            let used = |id: &&str| {
                let mut row = figures.clone();
                row["route_id"] = json!(id);
                row
            };
            let rows: Vec<Value> = ids.iter().map(used).collect();
            read(
                json!({"from":0,"to":1,"interval":"day","tz":"UTC","total":figures,"series":[],"by_route":rows,"by_token":[]}),
            )
        };
        let later = 40 * DAY_MS;
        let scope = "b".to_owned();
        let found = unused(&token, &routes, &stats(&["a"]), later);
        assert_eq!(found, Some(Unused { used: 1, all: 2, scopes: vec![&scope] }));
        assert_eq!(unused(&token, &routes, &stats(&["a"]), 20 * DAY_MS), None, "too young");
        assert_eq!(unused(&token, &routes, &stats(&["a", "b"]), later), None, "all are used");
        assert_eq!(unused(&token, &routes, &stats(&["c"]), later), None, "nothing is known");
    }
}
