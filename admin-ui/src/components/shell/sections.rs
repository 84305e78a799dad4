//! The parts of the navigation, and the pages of each. A new page is one line here.

use crate::i18n::I18n;
use crate::route::Route;
use crate::state::session::{can, may_audit, may_manage_channels};
use contract::people::Me;
use domain::people::role::{Action, Subject};
use yew::AttrValue;

/// A part of the navigation: one link, and tabs if it has several pages.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    pub name: AttrValue,
    pub icon: &'static str,
    /// The pages that the reader may open; the first is the one that the link leads to.
    pub pages: Vec<(Route, AttrValue)>,
}

impl Section {
    /// Whether a page is one of this part.
    pub fn has(&self, route: &Route) -> bool {
        self.pages.iter().any(|(page, _)| page.section() == route.section())
    }
}

/// Returns the parts that somebody may see.
pub fn sections(i18n: &I18n, me: &Me) -> Vec<Section> {
    let one =
        |to: Route, name: AttrValue, icon| Section { name: name.clone(), icon, pages: vec![(to, name)] };
    vec![
        one(Route::Dashboard, i18n.t("home.title"), "fas fa-home"),
        one(Route::Usage, i18n.t("usage.title"), "fas fa-chart-line"),
        one(Route::Calls, i18n.t("calls.page"), "fas fa-list-ol"),
        one(Route::Tokens, i18n.t("tokens.title"), "fas fa-key"),
        one(Route::Routes, i18n.t("routes.title"), "fas fa-route"),
        Section {
            name: i18n.t("nav.people"),
            icon: "fas fa-users",
            pages: vec![(Route::Teams, i18n.t("teams.title")), (Route::Users, i18n.t("users.title"))],
        },
        one(Route::Prices, i18n.t("prices.title"), "fas fa-coins"),
        Section { name: i18n.t("nav.settings"), icon: "fas fa-cog", pages: settings(i18n, me) },
    ]
}

/// Returns the pages of the settings that somebody may open.
pub fn settings(i18n: &I18n, me: &Me) -> Vec<(Route, AttrValue)> {
    let pages = [
        (may_manage_channels(me), Route::Channels, i18n.t("channels.title")),
        (may_audit(me), Route::AuditLogs, i18n.t("audit.title")),
        (true, Route::Keys, i18n.t("keys.title")),
        (true, Route::SystemHealth, i18n.t("health.title")),
        (can(me, Action::Import, Subject::default()), Route::Import, i18n.t("import.title")),
    ];
    pages.into_iter().filter(|(may, ..)| *may).map(|(_, route, name)| (route, name)).collect()
}
