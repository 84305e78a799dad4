//! `/api/me` and `/api/users`: people and their roles.

use crate::error::ApiError;
use crate::{Page, endpoint};
use domain::error::FieldError;
use domain::id::{KeyId, TeamId, UserId};
use domain::people::role::{Action, Caller, Membership, Role};
use domain::problem::Invalid;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The most teams in which one call may set a role.
pub const MAX_TEAMS_PER_CALL: usize = 50;

endpoint!(
    /// Returns the caller with their roles, even if they are in no team yet.
    GetMe, "GET", "/api/me", Some(Action::ReadSelf), 200, () => Me
);
endpoint!(
    /// Lists people: the platform admin sees everybody, others see the members of their own teams; see
    /// [`PeopleQuery`].
    ListPeople, "GET", "/api/users", Some(Action::ReadTeam), 200, PeopleQuery => Page<PersonView>
);
endpoint!(
    /// Sets one role in one team or in many, all or none. The person becomes a member of each team that
    /// they are not in yet.
    SetTeamRole, "PUT", "/api/users/{uid}/team-role", Some(Action::AssignJunior), 200, SetTeamRoleRequest => PersonChanged,
    example: Some(r#"{ "team_ids": ["automation", "finance"], "role": "DEVELOPER" }"#)
);
endpoint!(
    /// Makes a person a member of a team.
    AddMembership, "POST", "/api/users/{uid}/team-membership", Some(Action::AssignJunior), 201, AddMembershipRequest => PersonChanged,
    example: Some(r#"{ "team_id": "automation", "role": "VIEWER" }"#)
);
endpoint!(
    /// Removes a person from a team.
    RemoveMembership, "DELETE", "/api/users/{uid}/team-membership/{team}", Some(Action::AssignJunior), 200, () => PersonChanged
);

endpoint!(
    /// Adds everybody whom Clerk knows, 100 people a call. Pass `next_cursor` back as `cursor` until
    /// there is none. Needed if the webhook was not set up from the start.
    SyncPeople, "POST", "/api/users/sync", Some(Action::ReadPeople), 200, SyncPeopleRequest => PeopleSynced,
    errors: &[ApiError::ClerkUnavailable],
    example: Some("{}")
);

/// A page of Clerk's people to add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncPeopleRequest {
    /// `next_cursor` of the previous call; absent for the first call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The result of one call that adds people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeopleSynced {
    /// People added by this call.
    pub people: u32,
    /// Cursor of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Me {
    /// Id of the user at Clerk.
    pub id: UserId,
    /// Their primary e-mail address at Clerk; `null` if there is none.
    pub email: Option<String>,
    /// Their name at Clerk; `null` if they gave none.
    pub name: Option<String>,
    /// Address of their picture at Clerk; `null` if it has none.
    pub avatar_url: Option<String>,
    /// Empty for a person who waits for access.
    pub memberships: Vec<TeamRole>,
    /// Whether the caller is an admin of the core team, who may do everything.
    pub is_platform_admin: bool,
    /// The admin API key that came with the call, which bounds the roles; `null` for a session.
    #[serde(default)]
    pub key_id: Option<KeyId>,
}

impl Me {
    /// Returns the caller in the role matrix's form, so that a client decides by the same function.
    pub fn caller(&self) -> Caller {
        let membership = |m: &TeamRole| Membership { team: m.team_id.clone(), role: m.role };
        Caller::new(self.id.clone(), self.memberships.iter().map(membership).collect())
    }
}

/// A person's role in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TeamRole {
    /// Id of the team.
    pub team_id: TeamId,
    /// Name of the team, for display.
    pub team_name: String,
    /// The role in that team.
    pub role: Role,
}

/// A person as other people see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonView {
    /// Id of the user at Clerk.
    pub id: UserId,
    /// Their primary e-mail address at Clerk; `null` if there is none.
    pub email: Option<String>,
    /// Their name at Clerk; `null` if they gave none.
    pub name: Option<String>,
    /// Address of their picture at Clerk; `null` if it has none.
    pub avatar_url: Option<String>,
    /// Their roles in the teams that the caller may see.
    pub memberships: Vec<TeamRole>,
    /// Unix ms; `null` if Clerk knows of none.
    pub last_sign_in_at: Option<UnixMs>,
    /// Time at which the account was made, or first seen here, unix ms.
    pub created_at: UnixMs,
}

/// A person after a change of their roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PersonChanged {
    /// The person with their new roles.
    #[serde(flatten)]
    pub person: PersonView,
    /// Live tokens that they made and, after this change of roles, may no longer change. The tokens keep
    /// working; each has a notification until somebody attends to it.
    #[serde(default)]
    pub live_tokens: u32,
}

/// One member of one team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Member {
    /// Id of the user at Clerk.
    pub id: UserId,
    /// Their primary e-mail address at Clerk; `null` if there is none.
    pub email: Option<String>,
    /// Their name at Clerk; `null` if they gave none.
    pub name: Option<String>,
    /// Address of their picture at Clerk; `null` if it has none.
    pub avatar_url: Option<String>,
    /// Their role in this team.
    pub role: Role,
    /// Start of their membership, unix ms.
    pub since: UnixMs,
    /// Tokens of the team that they made and that still work. Such tokens keep working when their maker leaves.
    #[serde(default)]
    pub live_tokens: u32,
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PeopleQuery {
    /// Part of the name, e-mail address or id, any case.
    pub search: Option<String>,
    /// Only members of this team.
    pub team_id: Option<TeamId>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// The role, with `team_id` for one team or `team_ids` for several.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetTeamRoleRequest {
    /// One team; absent if `team_ids` names the teams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// Several teams; together with `team_id` 1 to 50, and a repeated team counts once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub team_ids: Vec<TeamId>,
    /// The role in each of the teams.
    pub role: Role,
}

impl SetTeamRoleRequest {
    /// Checks the request. Returns the teams, each once, and the role.
    pub fn validate(self) -> Result<(Vec<TeamId>, Role), Vec<FieldError>> {
        let refused = |message| Err(vec![FieldError::new("team_ids", message)]);
        let mut teams: Vec<TeamId> = self.team_id.into_iter().chain(self.team_ids).collect();
        teams.sort_unstable();
        teams.dedup();
        match teams.len() {
            0 => refused(Invalid::NoTeams),
            1..=MAX_TEAMS_PER_CALL => Ok((teams, self.role)),
            _ => refused(Invalid::TooManyTeams { most: MAX_TEAMS_PER_CALL }),
        }
    }
}

/// A team and the role in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddMembershipRequest {
    /// A team that the person is not a member of yet.
    pub team_id: TeamId,
    /// The role in that team.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_team_or_many_are_kept_once_each() {
        let teams = |text: &str| {
            let request: SetTeamRoleRequest = serde_json::from_str(text).unwrap();
            request.validate().map(|(teams, _)| teams.len())
        };
        assert_eq!(teams(r#"{"team_id":"a","role":"VIEWER"}"#), Ok(1));
        assert_eq!(teams(r#"{"team_ids":["b","a","b"],"role":"VIEWER"}"#), Ok(2));
        assert_eq!(teams(r#"{"role":"VIEWER"}"#).unwrap_err()[0].field, "team_ids");
    }
}
