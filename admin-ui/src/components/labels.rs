//! Labels: small coloured words that are the same on every page.

use crate::i18n::{I18n, use_i18n};
use contract::tokens::TokenView;
use domain::access::record::TokenState;
use domain::access::scope::Scope;
use domain::people::role::Role;
use domain::time::UnixMs;
use patternfly_yew::prelude::{Color, Icon, Label};
use yew::prelude::*;

pub fn role_name(i18n: &I18n, role: Role) -> AttrValue {
    match role {
        Role::Viewer => i18n.t("role.viewer"),
        Role::Developer => i18n.t("role.developer"),
        Role::Manager => i18n.t("role.manager"),
        Role::Admin => i18n.t("role.admin"),
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RoleLabelProps {
    pub role: Role,
    /// The team in which the person has the role.
    #[prop_or_default]
    pub team: Option<AttrValue>,
}

#[component]
pub fn RoleLabel(props: &RoleLabelProps) -> Html {
    let i18n = use_i18n();
    let color = match props.role {
        Role::Viewer => Color::Grey,
        Role::Developer => Color::Teal,
        Role::Manager => Color::Blue,
        Role::Admin => Color::Purple,
    };
    let role = role_name(&i18n, props.role);
    let label = props.team.as_ref().map_or_else(|| role.to_string(), |team| format!("{team} · {role}"));
    html! { <Label {label} {color} compact=true /> }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct StatusLabelProps {
    pub status: u16,
}

/// An HTTP status with a mark of how such calls usually end.
#[component]
pub fn StatusLabel(props: &StatusLabelProps) -> Html {
    let class = match props.status {
        ..400 => "tm-outcome tm-outcome--ok",
        429 => "tm-outcome tm-outcome--limited",
        401 | 403 => "tm-outcome tm-outcome--denied",
        400.. => "tm-outcome tm-outcome--error",
    };
    html! { <span {class}>{ props.status }</span> }
}

/// The current state of a token, which depends on its expiry too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    /// Within 14 days.
    EndsSoon,
    Expired,
    Disabled,
    Revoked,
}

const SOON_MS: i64 = 14 * domain::time::DAY_MS;

impl Standing {
    pub fn of(token: &TokenView, now: UnixMs) -> Self {
        match (token.state, token.expires_at) {
            (TokenState::Revoked, _) => Self::Revoked,
            (_, Some(end)) if end <= now => Self::Expired,
            (TokenState::Disabled, _) => Self::Disabled,
            (TokenState::Active, Some(end)) if end - now <= SOON_MS => Self::EndsSoon,
            (TokenState::Active, _) => Self::Active,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct StandingLabelProps {
    pub standing: Standing,
}

#[component]
pub fn StandingLabel(props: &StandingLabelProps) -> Html {
    let i18n = use_i18n();
    let (label, color, icon) = match props.standing {
        Standing::Active => (i18n.t("standing.active"), Color::Green, Icon::CheckCircle),
        Standing::EndsSoon => (i18n.t("standing.ends-soon"), Color::Orange, Icon::ExclamationTriangle),
        Standing::Expired => (i18n.t("standing.expired"), Color::Grey, Icon::History),
        Standing::Disabled => (i18n.t("standing.disabled"), Color::Grey, Icon::PauseCircle),
        Standing::Revoked => (i18n.t("standing.revoked"), Color::Red, Icon::Ban),
    };
    html! { <Label label={label.to_string()} {color} {icon} compact=true /> }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ScopeLabelProps {
    pub scope: AttrValue,
    /// Whether the scope matches no route.
    #[prop_or_default]
    pub is_stale: bool,
}

/// A scope, coloured by its kind.
#[component]
pub fn ScopeLabel(props: &ScopeLabelProps) -> Html {
    let i18n = use_i18n();
    let color = match props.scope.parse() {
        Ok(Scope::All) => Color::Red,
        Ok(Scope::Service(_)) => Color::Blue,
        Ok(Scope::Tag(_)) => Color::Green,
        Ok(Scope::Route(_)) => Color::Teal,
        Ok(Scope::Path { .. }) | Err(_) => Color::Purple,
    };
    let label = if props.scope == "*" { i18n.t("scope.all").to_string() } else { props.scope.to_string() };
    let icon = props.is_stale.then_some(Icon::ExclamationTriangle);
    html! {
        <span class="tm-scope" title={props.is_stale.then(|| i18n.t("scope.stale"))}>
            <Label {label} {color} {icon} compact=true outline={props.is_stale} />
            if props.is_stale {
                <span class="pf-v6-screen-reader">{ i18n.t("scope.stale") }</span>
            }
        </span>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct AvatarProps {
    pub name: AttrValue,
    #[prop_or_default]
    pub url: Option<AttrValue>,
}

/// A person's picture, or their first letter. Pictures come only from the issuer's host, see
/// `img-src` in `_headers`.
#[component]
pub fn Avatar(props: &AvatarProps) -> Html {
    let letter: String = props.name.chars().next().into_iter().flat_map(char::to_uppercase).collect();
    match &props.url {
        Some(url) => {
            html! { <img class="tm-avatar" src={url} alt="" loading="lazy" referrerpolicy="no-referrer" /> }
        }
        None => html! { <span class="tm-avatar" aria-hidden="true">{ letter }</span> },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_token_is_revoked_and_a_disabled_one_past_its_end_has_expired() {
        let mut token: TokenView = serde_json::from_value(serde_json::json!({
            "id":"tok_1","name":"n","team_id":"ops","description":null,"scopes":["*"],"ip_allow":[],"limits":{},"inject_faults":false,
            "state":"active","expires_at":null,"hint":null,"disabled_by":null,"created_by":null,
            "created_at":0,"updated_at":0,"last_used_at":null,"version":1}))
        .unwrap();
        assert_eq!(Standing::of(&token, 5), Standing::Active);
        token.expires_at = Some(10);
        assert_eq!(Standing::of(&token, 5), Standing::EndsSoon);
        assert_eq!(Standing::of(&token, 10), Standing::Expired);
        token.state = TokenState::Disabled;
        assert_eq!(Standing::of(&token, 5), Standing::Disabled);
        assert_eq!(Standing::of(&token, 10), Standing::Expired);
        token.state = TokenState::Revoked;
        assert_eq!(Standing::of(&token, 10), Standing::Revoked);
    }
}
