//! Counts of everything.

use super::figures::card;
use crate::api::use_api;
use crate::components::{AsyncView, Page};
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::use_i18n;
use contract::dashboard::{Counts, GetCounts};
use std::rc::Rc;
use yew::prelude::*;

/// `/stats`
#[component]
pub fn StatsPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let counts = use_remote((), move |()| {
        let api = api.clone();
        async move { api.request::<GetCounts>().send().await }
    });
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |counts: Rc<Counts>| {
            let figure =
                |title: AttrValue, count: u32| card(title, format::number(&i18n, u64::from(count)), None);
            html! {
                <div class="tm-cards">
                    { figure(i18n.t("stats.tokens"), counts.tokens) }
                    { figure(i18n.t("stats.active"), counts.tokens_active) }
                    { figure(i18n.t("stats.disabled"), counts.tokens_disabled) }
                    { figure(i18n.t("stats.expired"), counts.tokens_expired) }
                    { figure(i18n.t("stats.revoked"), counts.tokens_revoked) }
                    { figure(i18n.t("routes.title"), counts.routes) }
                    { figure(i18n.t("teams.title"), counts.teams) }
                    { figure(i18n.t("users.title"), counts.people) }
                    { card(i18n.t("stats.calls"), format::number(&i18n, counts.calls), Some(i18n.t("stats.since-beginning"))) }
                </div>
            }
        })
    };
    html! {
        <Page title={i18n.t("stats.title")} summary={i18n.t("stats.summary")}>
            <AsyncView<Counts> state={counts.state} on_retry={counts.on_refresh} {render} />
        </Page>
    }
}
