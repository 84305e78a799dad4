//! `/api/invitations`, and Clerk's webhooks.

use crate::Auth;
use crate::people::TeamRole;
use crate::{Page, endpoint};
use domain::error::FieldError;
use domain::id::{TeamId, UserId};
use domain::people::role::{Action, Role};
use domain::problem::Invalid;
use domain::time::{DAY_MS, UnixMs};
use serde::{Deserialize, Serialize};

/// The most teams that one invitation may name.
pub const MAX_TEAMS: usize = 20;
/// The time for which an invitation can be accepted.
pub const VALID_MS: i64 = 30 * DAY_MS;

endpoint!(
    /// Invites an address into teams, each with a role. Clerk sends the invitation if its secret is
    /// configured; otherwise the response has a link to hand over. A person who already has an account
    /// with that verified address becomes a member at once.
    CreateInvitation, "POST", "/api/invitations", Some(Action::AssignJunior), 201, CreateInvitationRequest => InvitationView,
    example: Some(r#"{ "email": "person@example.test", "teams": [{ "team_id": "automation", "role": "VIEWER" }] }"#)
);
endpoint!(
    /// Lists invitations into teams in which the caller may assign roles, newest first.
    ListInvitations, "GET", "/api/invitations", Some(Action::ReadTeam), 200, InvitationQuery => Page<InvitationView>
);
endpoint!(
    /// Revokes a pending invitation.
    RevokeInvitation, "DELETE", "/api/invitations/{id}", Some(Action::AssignJunior), 200, () => InvitationView
);
endpoint!(
    /// Sends an invitation again, even an expired one. It is then valid for another 30 days.
    ResendInvitation, "POST", "/api/invitations/{id}/resend", Some(Action::AssignJunior), 200, () => InvitationView
);
endpoint!(
    /// Receives Clerk's webhooks, signed by Svix, and keeps people up to date. A repeat changes nothing.
    TakeWebhook, "POST", "/api/webhooks/clerk", None, 200, serde_json::Value => WebhookTaken,
    auth: Auth::Svix,
    example: Some(r#"{ "type": "user.deleted", "object": "event", "data": { "id": "user_1", "object": "user", "deleted": true } }"#)
);

/// An invitation of one person into teams.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateInvitationRequest {
    /// Address to invite, at most 254 bytes after trimming.
    #[cfg_attr(feature = "schema", schemars(length(max = 254)))]
    pub email: String,
    /// 1 to 20 teams, each once.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 20)))]
    pub teams: Vec<InvitedTeam>,
}

/// A team and the role that the invited person gets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitedTeam {
    /// A team in which the caller may assign the role.
    pub team_id: TeamId,
    /// The role in that team.
    pub role: Role,
}

impl CreateInvitationRequest {
    /// Checks the request. Returns the trimmed address and the teams.
    pub fn validate(self) -> Result<(String, Vec<InvitedTeam>), Vec<FieldError>> {
        let mut errors = Vec::new();
        let email = self.email.trim();
        let is_address = email.len() <= 254
            && email.split_once('@').is_some_and(|(local, host)| {
                !local.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
            })
            && email.matches('@').count() == 1
            && !email.chars().any(|c| c.is_whitespace() || c.is_control());
        if !is_address {
            errors.push(FieldError::new("email", Invalid::Email));
        }
        if !(1..=MAX_TEAMS).contains(&self.teams.len()) {
            errors.push(FieldError::new("teams", Invalid::Teams { least: 1, most: MAX_TEAMS }));
        }
        for (i, team) in self.teams.iter().enumerate() {
            if self.teams.iter().take(i).any(|other| other.team_id == team.team_id) {
                errors.push(FieldError::new(format!("teams.{i}.team_id"), Invalid::Twice));
            }
        }
        if errors.is_empty() { Ok((email.to_owned(), self.teams)) } else { Err(errors) }
    }
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationQuery {
    /// Only invitations in this state; all if absent.
    pub state: Option<InvitationState>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// The state of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InvitationState {
    /// It can be accepted.
    Pending,
    /// The person has signed up and is a member of the teams.
    Accepted,
    /// It was withdrawn and can no longer be accepted.
    Revoked,
    /// Nobody accepted it within 30 days. It can be sent again.
    Expired,
}

impl InvitationState {
    /// Returns the name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

/// The way in which an invitation reaches its addressee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Clerk has sent it.
    Sent,
    /// Clerk should send it but could not be reached yet; it is tried again.
    Due,
    /// Nobody sends it: hand over `link` yourself.
    Link,
}

/// An invitation as the people who may assign roles see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InvitationView {
    /// Unique id of the invitation.
    pub id: String,
    /// The invited address.
    pub email: String,
    /// The invitation's teams in which the caller may assign roles.
    pub teams: Vec<TeamRole>,
    /// Whether it can still be accepted.
    pub state: InvitationState,
    /// Whether it is sent by Clerk or has to be handed over.
    pub delivery: Delivery,
    /// The link with which the addressee signs up under that address.
    pub link: Option<String>,
    /// Id of the person who made it.
    pub invited_by: UserId,
    /// Unix ms.
    pub created_at: UnixMs,
    /// End of its validity, unix ms: 30 days after it was made or last sent again.
    pub expires_at: UnixMs,
    /// Unix ms; `null` until it is accepted.
    pub accepted_at: Option<UnixMs>,
    /// The reason why Clerk has not sent it, or Clerk's message when it refused.
    #[serde(default)]
    pub error: Option<String>,
}

/// Whether a webhook changed anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookTaken {
    /// `false` for a repeat, and for kinds of webhook that are not used here.
    pub taken: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_bad_field_is_named() {
        let fields = |email: &str, teams: &[&str]| -> Vec<String> {
            let teams: Vec<_> = teams.iter().map(|t| json!({"team_id": t, "role": "VIEWER"})).collect();
            let request: CreateInvitationRequest =
                serde_json::from_value(json!({"email": email, "teams": teams})).unwrap();
            request.validate().err().unwrap_or_default().into_iter().map(|e| e.field).collect()
        };
        assert_eq!(fields(" a@example.test ", &["a", "b"]), Vec::<String>::new());
        for bad in ["", "a", "a@b", "@example.test", "a@.test", "a@b.", "a b@example.test", "a@b@c.test"] {
            assert_eq!(fields(bad, &["a"]), ["email"], "{bad}");
        }
        assert_eq!(fields("a@example.test", &[]), ["teams"]);
        assert_eq!(fields("a@example.test", &["a", "a"]), ["teams.1.team_id"]);
    }
}
