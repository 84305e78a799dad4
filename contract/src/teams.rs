//! `/api/teams`: requests, responses, and the checks of requests.

use crate::limits::{check_budget, check_limits};
use crate::people::Member;
use crate::tokens::{check_description, check_name, check_scope_list, present};
use crate::{Page, Propagation, endpoint};
use domain::access::scope::{MAX_SCOPES, Scope};
use domain::error::FieldError;
use domain::id::TeamId;
use domain::limit::ledger::Zone;
use domain::limit::{Limits, unmarked};
use domain::people::role::{Action, Role};
use domain::problem::Invalid;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The longest name of an icon, in characters.
pub const MAX_ICON_CHARS: usize = 64;

endpoint!(
    /// Makes a team. Its id is a slug that never changes and is never given to another team.
    CreateTeam, "POST", "/api/teams", Some(Action::CreateTeam), 201, CreateTeamRequest => TeamView,
    example: Some(r##"{ "id": "finance", "name": "Finance", "color": "#0066cc", "icon": "coins", "scope_cap": ["openai"] }"##)
);
endpoint!(
    /// Lists the teams that the caller may see, by name; see [`TeamQuery`].
    ListTeams, "GET", "/api/teams", Some(Action::ReadTeam), 200, TeamQuery => Page<TeamView>
);
endpoint!(
    /// Returns one team.
    GetTeam, "GET", "/api/teams/{id}", Some(Action::ReadTeam), 200, () => TeamView,
    etag: true
);
endpoint!(
    /// Changes the fields that are given. Only the platform admin may change the scope cap, the limits, the
    /// budget and the time zone, which bound every token of the team. Honours `If-Match`.
    UpdateTeam, "PUT", "/api/teams/{id}", Some(Action::EditTeam), 200, UpdateTeamRequest => TeamChanged,
    if_match: true,
    dry_run: true,
    example: Some(r#"{ "name": "Finance", "description": null }"#)
);
endpoint!(
    /// Deletes a team. Refused while it has members, or tokens that are not revoked.
    DeleteTeam, "DELETE", "/api/teams/{id}", Some(Action::DeleteTeam), 200, () => TeamView,
    if_match: true
);
endpoint!(
    /// Lists the members, highest role first.
    ListMembers, "GET", "/api/teams/{id}/members", Some(Action::ReadTeam), 200, MemberQuery => Page<Member>
);

/// A new team.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateTeamRequest {
    /// 1 to 63 lower-case letters, digits and inner hyphens.
    pub id: TeamId,
    /// 1 to 255 characters after trimming, without control characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    /// At most 500 characters; an empty text counts as `null`.
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    #[serde(default)]
    pub description: Option<String>,
    /// `#rrggbb`.
    #[serde(default)]
    pub color: Option<String>,
    /// A name such as `robot`: letters, digits and hyphens.
    #[serde(default)]
    pub icon: Option<String>,
    /// Scopes that bound the scopes of the team's tokens; null or absent means no bound, an empty list
    /// admits none.
    #[serde(default)]
    pub scope_cap: Option<Vec<String>>,
    /// Default limits for the team's tokens: each applies to a token that does not set that limit itself.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Limits of the AI tokens and money that the team's tokens use together.
    #[serde(default)]
    pub budget: Option<Limits>,
    /// The time zone whose days, weeks and months count for limits, such as `Asia/Taipei` (IANA); UTC if absent.
    #[serde(default)]
    pub zone: Option<String>,
}

/// Only the fields that are present change; `null` clears a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateTeamRequest {
    /// 1 to 255 characters after trimming, without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 500 characters; an empty text counts as `null`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    /// `#rrggbb`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub color: Option<Option<String>>,
    /// A name such as `robot`: at most 64 letters, digits and hyphens.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub icon: Option<Option<String>>,
    /// Scopes that bound the scopes of the team's tokens, at most 100; `null` means no bound, an empty list
    /// admits none.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub scope_cap: Option<Option<Vec<String>>>,
    /// Replaces all of the team's limits.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Option<Limits>>,
    /// Replaces the whole budget that the team's tokens use together.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub budget: Option<Option<Limits>>,
    /// The time zone whose days, weeks and months count for limits (IANA); `null` is UTC.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub zone: Option<Option<String>>,
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TeamQuery {
    /// Part of the name or id, any case.
    pub search: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// Query of a team's members; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MemberQuery {
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// The time zone of a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamZone {
    /// Its name, such as `Asia/Taipei` (IANA).
    pub name: String,
    /// Its offset now, and its next change.
    #[serde(flatten)]
    pub rule: Zone,
}

/// A team as its members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamView {
    /// A slug that never changes and is never given to another team.
    pub id: TeamId,
    /// 1 to 255 characters, for display.
    pub name: String,
    /// At most 500 characters; `null` if there is none.
    pub description: Option<String>,
    /// `#rrggbb` in lower case; `null` if none is set.
    pub color: Option<String>,
    /// Name of an icon, such as `robot`; `null` if none is set.
    pub icon: Option<String>,
    /// Scopes that bound the scopes of the team's tokens; `null` means no bound, an empty list admits none.
    pub scope_cap: Option<Vec<String>>,
    /// Default limits for the team's tokens: each applies to a token that does not set that limit itself.
    #[serde(serialize_with = "unmarked")]
    pub limits: Limits,
    /// Limits of the AI tokens and money that the team's tokens use together.
    #[serde(default)]
    pub budget: Limits,
    /// The time zone whose days, weeks and months count for limits; `null` is UTC.
    #[serde(default)]
    pub zone: Option<TeamZone>,
    /// Number of members.
    pub members: u32,
    /// Fields whose stored value this version cannot read; they show as empty. An edit
    /// is refused unless it sets each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Tokens that are not revoked.
    pub tokens: u32,
    /// The caller's role.
    pub your_role: Option<Role>,
    /// Unix ms.
    pub created_at: UnixMs,
    /// Time of the last change, unix ms.
    pub updated_at: UnixMs,
    /// Version of the row, which is also the `ETag`.
    pub version: u64,
}

/// The response to a change; pending while tokens that a new cap or new limits affect are not in
/// KV yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamChanged {
    /// The team after the change.
    #[serde(flatten)]
    pub team: TeamView,
    /// Whether KV has taken the new bounds of all affected tokens.
    pub propagation: Propagation,
}

/// A request that has passed its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTeam {
    /// A well-formed slug.
    pub id: TeamId,
    /// Trimmed, 1 to 255 characters.
    pub name: String,
    /// At most 500 characters; `None` if it was empty.
    pub description: Option<String>,
    /// `#rrggbb` in lower case.
    pub color: Option<String>,
    /// Name of an icon.
    pub icon: Option<String>,
    /// Bound of the scopes of its tokens; `None` means no bound.
    pub scope_cap: Option<Vec<Scope>>,
    /// Default limits for its tokens.
    pub limits: Limits,
    /// Limits of the AI tokens and money that its tokens use together.
    pub budget: Limits,
    /// Name of its time zone; `None` is UTC.
    pub zone: Option<String>,
}

/// A change that has passed its checks; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamChange {
    /// Trimmed, 1 to 255 characters.
    pub name: Option<String>,
    /// `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// `Some(None)` clears it.
    pub color: Option<Option<String>>,
    /// `Some(None)` clears it.
    pub icon: Option<Option<String>>,
    /// Bound of the scopes of its tokens; `Some(None)` removes the bound.
    pub scope_cap: Option<Option<Vec<Scope>>>,
    /// Replaces all of the team's limits.
    pub limits: Option<Limits>,
    /// Replaces the whole budget.
    pub budget: Option<Limits>,
    /// `Some(None)` is UTC.
    pub zone: Option<Option<String>>,
}

impl CreateTeamRequest {
    /// Checks every field and returns the team.
    pub fn validate(self) -> Result<NewTeam, Vec<FieldError>> {
        let mut errors = Vec::new();
        if !self.id.is_well_formed() {
            errors.push(FieldError::new("id", Invalid::Slug));
        }
        let team = NewTeam {
            name: check_name("name", &self.name, &mut errors),
            description: check_description(self.description, &mut errors),
            color: check_color(self.color, &mut errors),
            icon: check_icon(self.icon, &mut errors),
            scope_cap: self.scope_cap.map(|cap| check_cap(&cap, &mut errors)),
            limits: check_limits(self.limits, &mut errors),
            budget: check_budget(self.budget, &mut errors),
            zone: self.zone.filter(|zone| !zone.is_empty()),
            id: self.id,
        };
        if errors.is_empty() { Ok(team) } else { Err(errors) }
    }
}

impl UpdateTeamRequest {
    /// Checks the fields that are given and returns the change.
    pub fn validate(self) -> Result<TeamChange, Vec<FieldError>> {
        let mut errors = Vec::new();
        let change = TeamChange {
            name: self.name.map(|name| check_name("name", &name, &mut errors)),
            description: self.description.map(|text| check_description(text, &mut errors)),
            color: self.color.map(|color| check_color(color, &mut errors)),
            icon: self.icon.map(|icon| check_icon(icon, &mut errors)),
            scope_cap: self.scope_cap.map(|cap| cap.map(|cap| check_cap(&cap, &mut errors))),
            limits: self.limits.map(|limits| check_limits(limits, &mut errors)),
            budget: self.budget.map(|budget| check_budget(budget, &mut errors)),
            zone: self.zone.map(|zone| zone.filter(|zone| !zone.is_empty())),
        };
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }
}

fn check_color(color: Option<String>, errors: &mut Vec<FieldError>) -> Option<String> {
    let color = color.filter(|c| !c.is_empty())?;
    let is_hex = color
        .strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if !is_hex {
        errors.push(FieldError::new("color", Invalid::Color));
    }
    Some(color.to_ascii_lowercase())
}

fn check_icon(icon: Option<String>, errors: &mut Vec<FieldError>) -> Option<String> {
    let icon = icon.filter(|i| !i.is_empty())?;
    let is_name = icon.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_name || icon.len() > MAX_ICON_CHARS {
        errors.push(FieldError::new("icon", Invalid::Icon { most: MAX_ICON_CHARS }));
    }
    Some(icon)
}

fn check_cap(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<Scope> {
    if texts.len() > MAX_SCOPES {
        errors.push(FieldError::new("scope_cap", Invalid::TooManyScopes { most: MAX_SCOPES }));
        return vec![];
    }
    check_scope_list("scope_cap", texts, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_an_object_or_null_and_absent_is_neither() {
        let limits = |text| serde_json::from_str::<UpdateTeamRequest>(text).map(|request| request.limits);
        assert!(limits(r#"{"limits":[]}"#).is_err());
        assert_eq!(limits(r#"{"limits":null}"#).unwrap(), Some(None));
        assert_eq!(limits("{}").unwrap(), None);
    }
    use serde_json::json;

    #[test]
    fn each_bad_field_is_named() {
        let fields = |request: serde_json::Value| -> Vec<String> {
            let request: CreateTeamRequest = serde_json::from_value(request).unwrap();
            request.validate().err().unwrap_or_default().into_iter().map(|e| e.field).collect()
        };
        let good = json!({"id":"ops","name":"Ops","color":"#00AAff","icon":"robot","scope_cap":[]});
        assert_eq!(fields(good), Vec::<String>::new());
        let bad = json!({"id":"-Ops","name":"","color":"red","icon":"a b","scope_cap":["*","a b"],
            "limits":{"body_bytes":0},"budget":{"calls_per_day":1,"cost_micros_per_day":0,"cost_micros_per_week":1}});
        let found = fields(bad);
        assert_eq!(found[..6], ["id", "name", "color", "icon", "scope_cap.1", "limits.body_bytes"]);
        assert_eq!(found[6..], ["budget.cost_micros_per_day", "budget.calls_per_day"]);
    }

    #[test]
    fn null_clears_a_cap_and_absent_keeps_it() {
        let change = |text: &str| {
            serde_json::from_str::<UpdateTeamRequest>(text).unwrap().validate().unwrap().scope_cap
        };
        assert_eq!(change(r#"{"scope_cap":null}"#), Some(None));
        assert_eq!(change(r#"{"scope_cap":[]}"#), Some(Some(vec![])));
        assert_eq!(change("{}"), None);
    }
}
