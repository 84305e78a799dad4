//! `/api/tokens`: requests, responses and what makes a request acceptable.

use crate::Body;
use crate::limits::check_limits;
use crate::{Page, Propagation, endpoint};
use domain::access::StepResult;
use domain::access::network;
use domain::access::record::TokenState;
use domain::access::scope::{MAX_SCOPES, Scope};
use domain::error::FieldError;
use domain::id::{RouteId, TeamId, TokenId, UserId};
use domain::limit::Limits;
use domain::object::{optional_object, present_object};
use domain::people::role::Action;
use domain::problem::Invalid;
use domain::time::{DAY_MS, HOUR_MS, UnixMs};
use domain::token::{DEFAULT_GRACE_MS, MAX_GRACE_MS, TokenHint};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

pub const MAX_NAME_CHARS: usize = 255;
pub const MAX_DESCRIPTION_CHARS: usize = 500;
pub const MAX_EXPIRES_DAYS: i64 = 3_650;
pub const MAX_IP_ALLOW: usize = 50;

endpoint!(
    /// Makes a token; the answer alone shows its secret. Takes `Idempotency-Key`.
    CreateToken, "POST", "/api/tokens", Some(Action::CreateToken), 201, CreateTokenRequest => TokenCreated,
    idempotent: true,
    example: Some(r#"{ "name": "Invoices", "team_id": "automation", "scopes": ["openai", "GET /api/echo/*"], "expires_days": 90, "limits": { "calls_per_minute": 60, "cost_micros_per_day": 5000000 } }"#)
);
endpoint!(
    /// Tokens of the teams that the caller may see; see [`TokenQuery`].
    ListTokens, "GET", "/api/tokens", Some(Action::ReadToken), 200, TokenQuery => Page<TokenView>
);
endpoint!(
    /// One token.
    GetToken, "GET", "/api/tokens/{id}", Some(Action::ReadToken), 200, () => TokenView,
    etag: true
);
endpoint!(
    /// Changes the fields that are given. `If-Match` is heeded.
    UpdateToken, "PUT", "/api/tokens/{id}", Some(Action::ChangeToken), 200, UpdateTokenRequest => TokenChanged,
    if_match: true,
    example: Some(r#"{ "description": "Sends invoices", "ip_allow": ["203.0.113.0/24"], "limits": { "calls_per_minute": 30 } }"#)
);
endpoint!(
    /// Revokes for ever.
    RevokeToken, "DELETE", "/api/tokens/{id}", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Refuses the token's calls until it is enabled. Repeating it changes nothing.
    DisableToken, "POST", "/api/tokens/{id}/disable", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Lets a disabled token work again.
    EnableToken, "POST", "/api/tokens/{id}/enable", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Adds a secret and gives the others an end. Takes `Idempotency-Key`.
    RotateToken, "POST", "/api/tokens/{id}/rotate", Some(Action::ChangeToken), 201, RotateTokenRequest => TokenCreated,
    if_match: true,
    idempotent: true,
    body: Body::Optional,
    example: Some(r#"{ "grace_hours": 24 }"#)
);
endpoint!(
    /// Moves the end: so many days after the present end, or after now where that is past.
    ExtendToken, "POST", "/api/tokens/{id}/extend", Some(Action::ChangeToken), 200, ExtendTokenRequest => TokenChanged,
    if_match: true,
    example: Some(r#"{ "days": 90 }"#)
);
endpoint!(
    /// Would this call be allowed? Each step of the gateway's decision with its reason, by the same
    /// function that the gateway runs, on what D1 says now.
    ExplainToken, "POST", "/api/tokens/{id}/explain", Some(Action::ReadToken), 200, ExplainRequest => Explanation,
    is_change: false,
    example: Some(r#"{ "method": "GET", "path": "/api/openai/models", "client_ip": "203.0.113.7" }"#)
);
endpoint!(
    /// The token's secrets, newest first, without the secrets themselves.
    ListTokenSecrets, "GET", "/api/tokens/{id}/secrets", Some(Action::ReadToken), 200, () => Page<SecretView>);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateTokenRequest {
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub name: String,
    pub team_id: TeamId,
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    #[serde(default)]
    pub description: Option<String>,
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    pub scopes: Vec<String>,
    /// 1 to 3650; null or absent means never.
    #[serde(default)]
    pub expires_days: Option<i64>,
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default)]
    pub ip_allow: Vec<String>,
    /// Limits of the token. Callers who may not loosen limits can give none that are looser than the team's.
    #[serde(default, deserialize_with = "optional_object")]
    pub limits: Option<Limits>,
    /// Whether calls may ask the gateway for faults, to test a workflow.
    #[serde(default)]
    pub inject_faults: bool,
}

/// Only what is present changes; `null` clears what may be empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateTokenRequest {
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Counted from now; `null` means never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_days: Option<Option<i64>>,
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_allow: Option<Vec<String>>,
    /// Takes the place of all that the token has; loosening them asks for MANAGER.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Option<Limits>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_faults: Option<bool>,
}

/// Tells `null` (`Some(None)`) from absent (`None`).
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateTokenRequest {
    /// Hours that the current secrets go on working: 0 to 720, default 24.
    #[serde(default)]
    pub grace_hours: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExtendTokenRequest {
    /// 1 to 3650; null means never to end.
    pub days: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    pub method: String,
    /// Such as `/api/openai/models`; a query is ignored.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}

/// The decision that the gateway would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    pub allowed: bool,
    /// All steps, also those after the first denial.
    pub steps: Vec<StepResult>,
    /// The route that the path leads to.
    pub route_id: Option<RouteId>,
    pub route_path: Option<String>,
    /// The first scope that covers the call.
    pub scope: Option<String>,
    /// Status of the gateway's response if it denies.
    pub status: Option<u16>,
    pub code: Option<String>,
    /// Whether KV may not have the newest of it yet.
    pub propagation: Propagation,
}

/// Query of the list, all optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenQuery {
    pub team_id: Option<TeamId>,
    /// Part of the name, any case.
    pub search: Option<String>,
    pub state: Option<StateFilter>,
    pub sort: Option<TokenSort>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StateFilter {
    Active,
    Disabled,
    Revoked,
    Expired,
}

/// A leading `-` means descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenSort {
    #[default]
    #[serde(rename = "-created_at")]
    NewestFirst,
    #[serde(rename = "created_at")]
    OldestFirst,
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "-name")]
    NameDescending,
}

/// A token as people see it. Times are unix ms, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenView {
    pub id: TokenId,
    pub name: String,
    pub team_id: TeamId,
    pub description: Option<String>,
    pub scopes: Vec<String>,
    pub ip_allow: Vec<String>,
    /// The token's own; what it does not name is as the team says.
    pub limits: Limits,
    pub inject_faults: bool,
    /// Fields whose stored value this version cannot read; they show as empty. An edit
    /// is refused unless it gives each of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    pub state: TokenState,
    pub expires_at: Option<UnixMs>,
    /// Hint of the newest secret, for display.
    pub hint: Option<TokenHint>,
    pub disabled_by: Option<UserId>,
    pub created_by: Option<UserId>,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
    pub last_used_at: Option<UnixMs>,
    /// Version of the row; the `ETag`, too.
    pub version: u64,
}

/// The answer to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenChanged {
    #[serde(flatten)]
    pub token: TokenView,
    pub propagation: Propagation,
}

/// The one answer that shows a secret. A repeat under the same `Idempotency-Key` has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenCreated {
    /// The plain text, shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(flatten)]
    pub view: TokenView,
    pub propagation: Propagation,
}

/// One secret of a token, without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretView {
    pub hint: TokenHint,
    pub created_at: UnixMs,
    pub ends_at: Option<UnixMs>,
    /// Time of the last call whose usage event has come in; `null` for a secret that was last used before it was kept.
    pub last_used_at: Option<UnixMs>,
    /// Whether it has the earlier system's form, without a check.
    pub legacy: bool,
}

/// A request that was found acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub team: TeamId,
    pub description: Option<String>,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<UnixMs>,
    pub ip_allow: Vec<IpNet>,
    pub limits: Limits,
    pub inject_faults: bool,
}

/// A change that was found acceptable; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenChange {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub scopes: Option<Vec<Scope>>,
    pub expires_at: Option<Option<UnixMs>>,
    pub ip_allow: Option<Vec<IpNet>>,
    pub limits: Option<Limits>,
    pub inject_faults: Option<bool>,
}

impl CreateTokenRequest {
    pub fn validate(self, now: UnixMs) -> Result<NewToken, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = check_name("name", &self.name, &mut errors);
        let description = check_description(self.description, &mut errors);
        if !self.team_id.is_well_formed() {
            errors.push(FieldError::new("team_id", Invalid::TeamId));
        }
        let scopes = check_scopes(&self.scopes, &mut errors);
        let expires_at = check_expires_days(self.expires_days, now, &mut errors);
        let token = NewToken {
            name,
            team: self.team_id,
            description,
            scopes,
            expires_at,
            ip_allow: check_ip_allow(&self.ip_allow, &mut errors),
            limits: check_limits(self.limits, &mut errors),
            inject_faults: self.inject_faults,
        };
        if errors.is_empty() { Ok(token) } else { Err(errors) }
    }
}

impl UpdateTokenRequest {
    pub fn validate(self, now: UnixMs) -> Result<TokenChange, Vec<FieldError>> {
        let mut errors = Vec::new();
        let change = TokenChange {
            name: self.name.map(|name| check_name("name", &name, &mut errors)),
            description: self.description.map(|text| check_description(text, &mut errors)),
            scopes: self.scopes.map(|scopes| check_scopes(&scopes, &mut errors)),
            expires_at: self.expires_days.map(|days| check_expires_days(days, now, &mut errors)),
            ip_allow: self.ip_allow.map(|list| check_ip_allow(&list, &mut errors)),
            limits: self.limits.map(|limits| check_limits(limits, &mut errors)),
            inject_faults: self.inject_faults,
        };
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }
}

impl ExtendTokenRequest {
    /// The new end of a token that ends at `present`.
    pub fn validate(&self, present: Option<UnixMs>, now: UnixMs) -> Result<Option<UnixMs>, Vec<FieldError>> {
        match self.days {
            None => Ok(None),
            Some(days) if (1..=MAX_EXPIRES_DAYS).contains(&days) => {
                let end = present.map_or(now, |end| end.max(now)) + days * DAY_MS;
                let latest = now + MAX_EXPIRES_DAYS * DAY_MS;
                if end > latest {
                    return Err(vec![FieldError::new(
                        "days",
                        Invalid::EndTooLate { days: MAX_EXPIRES_DAYS },
                    )]);
                }
                Ok(Some(end))
            }
            Some(_) => Err(vec![FieldError::new(
                "days",
                Invalid::RangeOrNever { least: 1, most: MAX_EXPIRES_DAYS.unsigned_abs() },
            )]),
        }
    }
}

impl RotateTokenRequest {
    /// The grace in ms.
    pub fn validate(&self) -> Result<UnixMs, Vec<FieldError>> {
        match self.grace_hours {
            None => Ok(DEFAULT_GRACE_MS),
            Some(hours) if (0..=MAX_GRACE_MS / HOUR_MS).contains(&hours) => Ok(hours * HOUR_MS),
            Some(_) => Err(vec![FieldError::new(
                "grace_hours",
                Invalid::Range { least: 0, most: (MAX_GRACE_MS / HOUR_MS).unsigned_abs() },
            )]),
        }
    }
}

pub(crate) fn check_name(field: &str, name: &str, errors: &mut Vec<FieldError>) -> String {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        errors.push(FieldError::new(field, Invalid::Length { least: 1, most: MAX_NAME_CHARS }));
    } else if name.chars().any(char::is_control) {
        errors.push(FieldError::new(field, Invalid::ControlCharacters));
    }
    name.to_owned()
}

pub(crate) fn check_description(text: Option<String>, errors: &mut Vec<FieldError>) -> Option<String> {
    if text.as_ref().is_some_and(|t| t.chars().count() > MAX_DESCRIPTION_CHARS) {
        errors.push(FieldError::new("description", Invalid::MaxLength { most: MAX_DESCRIPTION_CHARS }));
    }
    text.filter(|t| !t.is_empty())
}

fn check_scopes(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<Scope> {
    if texts.is_empty() {
        errors.push(FieldError::new("scopes", Invalid::NoScopes));
    }
    if texts.len() > MAX_SCOPES {
        errors.push(FieldError::new("scopes", Invalid::TooManyScopes { most: MAX_SCOPES }));
        return vec![];
    }
    check_scope_list("scopes", texts, errors)
}

/// Each scope once.
pub(crate) fn check_scope_list(field: &str, texts: &[String], errors: &mut Vec<FieldError>) -> Vec<Scope> {
    let mut scopes = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        match text.parse::<Scope>() {
            Ok(scope) if scopes.contains(&scope) => {}
            Ok(scope) => scopes.push(scope),
            Err(why) => errors.push(FieldError::new(format!("{field}.{i}"), why)),
        }
    }
    scopes
}

fn check_expires_days(days: Option<i64>, now: UnixMs, errors: &mut Vec<FieldError>) -> Option<UnixMs> {
    let days = days?;
    if !(1..=MAX_EXPIRES_DAYS).contains(&days) {
        errors.push(FieldError::new(
            "expires_days",
            Invalid::RangeOrNever { least: 1, most: MAX_EXPIRES_DAYS.unsigned_abs() },
        ));
        return None;
    }
    Some(now + days * DAY_MS)
}

/// Networks in canonical form, each once.
fn check_ip_allow(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<IpNet> {
    if texts.len() > MAX_IP_ALLOW {
        errors.push(FieldError::new("ip_allow", Invalid::TooManyNetworks { most: MAX_IP_ALLOW }));
        return vec![];
    }
    let mut networks = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        match network::parse(text) {
            Ok(net) if networks.contains(&net) => {}
            Ok(net) => networks.push(net),
            Err(why) => errors.push(FieldError::new(format!("ip_allow.{i}"), why)),
        }
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(request: serde_json::Value) -> Vec<String> {
        let request: CreateTokenRequest = serde_json::from_value(request).unwrap();
        request.validate(0).err().unwrap_or_default().into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn each_bad_field_is_named() {
        let good = json!({"name":"n","team_id":"ops","scopes":["*"],"expires_days":90});
        assert_eq!(fields(good), Vec::<String>::new());
        let bad = json!({"name":" ","team_id":"No Team","description":"x".repeat(501),"scopes":["*","a b"],"expires_days":0,"ip_allow":["10.0.0.0/99"],"limits":{"calls_per_day":0}});
        assert_eq!(
            fields(bad),
            [
                "name",
                "description",
                "team_id",
                "scopes.1",
                "expires_days",
                "ip_allow.0",
                "limits.calls_per_day"
            ]
        );
        assert_eq!(
            fields(json!({"name":"n","team_id":"ops","scopes":[],"expires_days":99_999})),
            ["scopes", "expires_days"]
        );
    }

    /// Parity fault 4: an empty selection saved `*`.
    #[test]
    fn an_empty_scope_list_is_refused_on_update_too() {
        let request: UpdateTokenRequest = serde_json::from_value(json!({"scopes":[]})).unwrap();
        assert_eq!(request.validate(0).unwrap_err()[0].field, "scopes");
    }

    #[test]
    fn null_clears_and_absent_leaves() {
        let request = json!({"expires_days":null,"limits":null});
        let request: UpdateTokenRequest = serde_json::from_value(request).unwrap();
        let change = request.validate(0).unwrap();
        assert_eq!(change.expires_at, Some(None));
        assert_eq!(change.limits, Some(Limits::default()));
        assert_eq!((change.description, change.inject_faults), (None, None));
        assert!(serde_json::from_value::<UpdateTokenRequest>(json!({"team_id":"x"})).is_err());
    }

    #[test]
    fn a_token_is_extended_from_its_end_or_from_now() {
        let extend = |days, present| ExtendTokenRequest { days }.validate(present, 1_000);
        assert_eq!(extend(Some(1), Some(5_000)), Ok(Some(5_000 + DAY_MS)));
        assert_eq!(extend(Some(1), Some(10)), Ok(Some(1_000 + DAY_MS)), "an ended one begins anew");
        assert_eq!(extend(None, Some(10)), Ok(None));
        assert!(extend(Some(0), None).is_err() && extend(Some(3_651), None).is_err());
        assert!(extend(Some(3_650), Some(DAY_MS)).is_err(), "not further than a new token");
    }

    #[test]
    fn grace_is_bounded() {
        assert_eq!(RotateTokenRequest::default().validate(), Ok(DEFAULT_GRACE_MS));
        assert!(RotateTokenRequest { grace_hours: Some(721) }.validate().is_err());
        assert!(RotateTokenRequest { grace_hours: Some(-1) }.validate().is_err());
    }
}
