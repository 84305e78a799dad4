//! `/api/keys`: admin API keys, with which automation calls this API for the person who made them.

use crate::tokens::{check_ip_allow, check_name};
use crate::{Body, Page, endpoint};
use domain::error::FieldError;
use domain::id::{KeyId, TeamId, UserId};
use domain::people::key::{DEFAULT_DAYS, MAX_DAYS, Power, end};
use domain::people::role::{Action, Caller, Membership, Role};
use domain::problem::Invalid;
use domain::time::{HOUR_MS, UnixMs};
use domain::token::{DEFAULT_GRACE_MS, MAX_GRACE_MS, TokenHint};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The most teams in which one key may have a role.
pub const MAX_ROLES: usize = 50;
/// The most keys of one person that work at the same time.
pub const MAX_KEYS: u32 = 50;

endpoint!(
    /// Makes an admin API key that acts for the caller, in the roles that are named. Only this response shows it. It
    /// requires a session: a key makes no key.
    CreateKey, "POST", "/api/keys", Some(Action::CreateKey), 201, CreateKeyRequest => KeyCreated,
    example: Some(r#"{ "name": "Nightly rotation", "roles": [{ "team_id": "automation", "role": "DEVELOPER" }], "expires_days": 90 }"#)
);
endpoint!(
    /// Lists the caller's keys, newest first; ADMIN and MANAGER of the core team see everybody's.
    ListKeys, "GET", "/api/keys", Some(Action::ReadKey), 200, KeyQuery => Page<KeyView>
);
endpoint!(
    /// Returns one key.
    GetKey, "GET", "/api/keys/{id}", Some(Action::ReadKey), 200, () => KeyView,
    etag: true
);
endpoint!(
    /// Gives the key another secret, which only this response shows, and sets an end for the others. Only its maker may,
    /// since the secret acts for them.
    RotateKey, "POST", "/api/keys/{id}/rotate", Some(Action::RotateKey), 201, RotateKeyRequest => KeyCreated,
    if_match: true,
    body: Body::Optional,
    example: Some(r#"{ "grace_hours": 24, "expires_days": 90 }"#)
);
endpoint!(
    /// Revokes the key permanently. It is refused from its next call on.
    RevokeKey, "DELETE", "/api/keys/{id}", Some(Action::RevokeKey), 200, () => KeyView,
    if_match: true
);

/// A key's role in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyRole {
    /// Id of the team.
    pub team_id: TeamId,
    /// The role in it, at most the caller's own.
    pub role: Role,
}

/// A new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKeyRequest {
    /// 1 to 255 characters after trimming.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    /// 1 to 50 roles, each in another team. At each use a role counts as at most its maker's at that moment.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 50)))]
    pub roles: Vec<KeyRole>,
    /// 1 to 365, default 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 365)))]
    pub expires_days: Option<i64>,
    /// Whether it may only look.
    #[serde(default)]
    pub read_only: bool,
    /// Powers that no key has unless it is given them here.
    #[serde(default)]
    pub may: Vec<Power>,
    /// Addresses and networks that it may be used from; empty admits every address.
    #[serde(default)]
    pub ip_allow: Vec<String>,
}

/// A key that has passed its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Trimmed, 1 to 255 characters.
    pub name: String,
    /// Each in another team, at most its maker's.
    pub roles: Vec<Membership>,
    /// Unix ms.
    pub expires_at: UnixMs,
    /// Whether it may only look.
    pub read_only: bool,
    /// Each once.
    pub may: Vec<Power>,
    /// Networks in canonical form, each once; empty admits every address.
    pub ip_allow: Vec<IpNet>,
}

impl CreateKeyRequest {
    /// Checks every field and returns the key. `maker` is the person who makes it.
    pub fn validate(self, maker: &Caller, now: UnixMs) -> Result<NewKey, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = check_name("name", &self.name, &mut errors);
        let roles = check_roles(&self.roles, maker, &mut errors);
        let expires_at = end(check_days(self.expires_days, &mut errors).unwrap_or(DEFAULT_DAYS), now);
        let mut may = self.may;
        may.sort();
        may.dedup();
        let ip_allow = check_ip_allow(&self.ip_allow, &mut errors);
        let key = NewKey { name, roles, expires_at, read_only: self.read_only, may, ip_allow };
        if errors.is_empty() { Ok(key) } else { Err(errors) }
    }
}

fn check_roles(roles: &[KeyRole], maker: &Caller, errors: &mut Vec<FieldError>) -> Vec<Membership> {
    if !(1..=MAX_ROLES).contains(&roles.len()) {
        errors.push(FieldError::new("roles", Invalid::Teams { least: 1, most: MAX_ROLES }));
        return vec![];
    }
    for (i, wanted) in roles.iter().enumerate() {
        if roles.iter().take(i).any(|other| other.team_id == wanted.team_id) {
            errors.push(FieldError::new(format!("roles.{i}.team_id"), Invalid::Twice));
        }
        match maker.reach(&wanted.team_id) {
            // Whether a team exists is not told to people who may not see it.
            None => errors.push(FieldError::new(format!("roles.{i}.team_id"), Invalid::NoTeam)),
            Some(own) if wanted.role > own => {
                let above = Invalid::AboveOwnRole { role: own.as_str().to_owned() };
                errors.push(FieldError::new(format!("roles.{i}.role"), above));
            }
            Some(_) => {}
        }
    }
    roles.iter().map(|role| Membership { team: role.team_id.clone(), role: role.role }).collect()
}

fn check_days(days: Option<i64>, errors: &mut Vec<FieldError>) -> Option<i64> {
    let days = days?;
    if !(1..=MAX_DAYS).contains(&days) {
        let range = Invalid::Range { least: 1, most: MAX_DAYS.unsigned_abs() };
        errors.push(FieldError::new("expires_days", range));
        return None;
    }
    Some(days)
}

/// The rotation of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateKeyRequest {
    /// 0 to 720, default 24: how long the current secrets keep working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 720)))]
    pub grace_hours: Option<i64>,
    /// 1 to 365: the key then ends so many days from now. Absent keeps its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 365)))]
    pub expires_days: Option<i64>,
}

impl RotateKeyRequest {
    /// Checks the request. Returns the grace period in ms, and the key's new end, if it gets one.
    pub fn validate(&self, now: UnixMs) -> Result<(UnixMs, Option<UnixMs>), Vec<FieldError>> {
        let mut errors = Vec::new();
        let most = MAX_GRACE_MS / HOUR_MS;
        let grace_ms = match self.grace_hours {
            None => DEFAULT_GRACE_MS,
            Some(hours) if (0..=most).contains(&hours) => hours * HOUR_MS,
            Some(_) => {
                let range = Invalid::Range { least: 0, most: most.unsigned_abs() };
                errors.push(FieldError::new("grace_hours", range));
                0
            }
        };
        let end = check_days(self.expires_days, &mut errors).map(|days| end(days, now));
        if errors.is_empty() { Ok((grace_ms, end)) } else { Err(errors) }
    }
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyQuery {
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It works, in the roles that its maker still has.
    Active,
    /// Its end has come.
    Expired,
    /// It was revoked.
    Revoked,
    /// Its maker's account is gone.
    MakerGone,
}

/// A key's role in a team, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyRoleView {
    /// Id of the team.
    pub team_id: TeamId,
    /// The role as it was given.
    pub role: Role,
    /// The role that a call has now; `null` if the key's maker has none in the team.
    pub effective: Option<Role>,
}

/// An admin API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyView {
    /// Unique id of the key; the audit log names it as the actor.
    pub id: KeyId,
    /// Its name, for display.
    pub name: String,
    /// Id of the person who made it and for whom it acts.
    pub made_by: UserId,
    /// Their name or e-mail address; `null` if neither is known.
    pub maker_name: Option<String>,
    /// Its roles.
    pub roles: Vec<KeyRoleView>,
    /// Whether it may only look.
    pub read_only: bool,
    /// Powers that it was given by name.
    pub may: Vec<Power>,
    /// Networks that it may be used from; empty admits every address.
    pub ip_allow: Vec<String>,
    /// Whether it works.
    pub state: KeyState,
    /// Hint of the newest secret, for display; `null` if it has none.
    pub hint: Option<TokenHint>,
    /// Unix ms.
    pub created_at: UnixMs,
    /// End of the key, unix ms.
    pub expires_at: UnixMs,
    /// Last use, unix ms, exact to an hour; `null` if it was never used.
    pub last_used_at: Option<UnixMs>,
    /// Unix ms; `null` if it was not revoked.
    pub revoked_at: Option<UnixMs>,
    /// Number of changes, as in the `ETag`.
    pub version: u64,
}

/// A key that was just made or rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyCreated {
    /// The key itself. No other response shows it.
    pub key: String,
    /// The key without its secret.
    #[serde(flatten)]
    pub view: KeyView,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::DAY_MS;
    use serde_json::json;

    fn maker() -> Caller {
        let role = |team: &str, role| Membership { team: team.into(), role };
        Caller::new("u1".into(), vec![role("ops", Role::Manager), role("web", Role::Viewer)])
    }

    fn fields(request: serde_json::Value) -> Vec<String> {
        let request: CreateKeyRequest = serde_json::from_value(request).unwrap();
        let errors = request.validate(&maker(), 0).err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn each_bad_field_is_named() {
        let role = |team: &str, role: &str| json!({"team_id": team, "role": role});
        assert_eq!(fields(json!({"name":"n","roles":[role("ops","MANAGER"),role("web","VIEWER")]})), [""; 0]);
        let bad = json!({"name":"","roles":[role("ops","ADMIN"),role("ops","VIEWER"),role("x","VIEWER")],
            "expires_days":366,"ip_allow":["10.0.0.0/99"]});
        assert_eq!(
            fields(bad),
            ["name", "roles.0.role", "roles.1.team_id", "roles.2.team_id", "expires_days", "ip_allow.0"]
        );
        assert_eq!(fields(json!({"name":"n","roles":[]})), ["roles"]);
    }

    #[test]
    fn a_key_ends_after_90_days_unless_its_maker_says_otherwise() {
        let end = |more: serde_json::Value| {
            let mut request = json!({"name":"n","roles":[{"team_id":"ops","role":"VIEWER"}]});
            request.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            let request: CreateKeyRequest = serde_json::from_value(request).unwrap();
            request.validate(&maker(), 0).unwrap().expires_at / DAY_MS
        };
        assert_eq!((end(json!({})), end(json!({"expires_days":365}))), (90, 365));
        let rotate = |grace_hours, expires_days| RotateKeyRequest { grace_hours, expires_days }.validate(0);
        assert_eq!(rotate(None, None), Ok((24 * HOUR_MS, None)));
        assert_eq!(rotate(Some(0), Some(1)), Ok((0, Some(DAY_MS))));
        assert_eq!(rotate(Some(721), Some(0)).unwrap_err().len(), 2);
    }
}
