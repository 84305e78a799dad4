//! Teams: cards, the form, and one team with its members.

mod detail;
mod form;
mod list;

pub use detail::TeamPage;
pub use list::TeamsPage;

use crate::i18n::I18n;
use contract::teams::TeamView;
use yew::prelude::*;

/// Names of the icons that a team can have, as the style sheet knows them.
const ICONS: [&str; 12] = [
    "users",
    "robot",
    "cogs",
    "code",
    "database",
    "cloud",
    "rocket",
    "bolt",
    "flask",
    "briefcase",
    "chart-line",
    "shield-alt",
];
const DEFAULT_COLOR: &str = "#0066cc";

/// Returns an icon's name in the reader's language.
fn icon_name(i18n: &I18n, icon: &str) -> AttrValue {
    match icon {
        "users" => i18n.t("icon.users"),
        "robot" => i18n.t("icon.robot"),
        "cogs" => i18n.t("icon.cogs"),
        "code" => i18n.t("icon.code"),
        "database" => i18n.t("icon.database"),
        "cloud" => i18n.t("icon.cloud"),
        "rocket" => i18n.t("icon.rocket"),
        "bolt" => i18n.t("icon.bolt"),
        "flask" => i18n.t("icon.flask"),
        "briefcase" => i18n.t("icon.briefcase"),
        "chart-line" => i18n.t("icon.chart-line"),
        "shield-alt" => i18n.t("icon.shield-alt"),
        other => other.to_owned().into(),
    }
}

/// Draws a team's icon on its colour.
fn badge(icon: Option<&str>, color: Option<&str>) -> Html {
    // Only known values get into a class or a style.
    let icon = icon.filter(|icon| ICONS.contains(icon)).unwrap_or("users");
    let is_hex = |color: &&str| {
        color
            .strip_prefix('#')
            .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let color = color.filter(is_hex).unwrap_or(DEFAULT_COLOR);
    html! {
        <span class="tm-team-icon" style={format!("background-color: {color}")} aria-hidden="true">
            <i class={format!("fas fa-{icon}")} />
        </span>
    }
}

fn badge_of(team: &TeamView) -> Html {
    badge(team.icon.as_deref(), team.color.as_deref())
}
