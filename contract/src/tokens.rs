//! `/api/tokens`: requests, responses, and the checks of requests.

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
    /// Makes a token. Only this response shows its secret. Honours `Idempotency-Key`.
    CreateToken, "POST", "/api/tokens", Some(Action::CreateToken), 201, CreateTokenRequest => TokenCreated,
    idempotent: true,
    example: Some(r#"{ "name": "Invoices", "team_id": "automation", "scopes": ["openai", "GET /api/echo/*"], "expires_days": 90, "limits": { "calls_per_minute": 60, "cost_micros_per_day": 5000000 } }"#)
);
endpoint!(
    /// Lists the tokens of the teams that the caller may see; see [`TokenQuery`].
    ListTokens, "GET", "/api/tokens", Some(Action::ReadToken), 200, TokenQuery => Page<TokenView>
);
endpoint!(
    /// Returns one token.
    GetToken, "GET", "/api/tokens/{id}", Some(Action::ReadToken), 200, () => TokenView,
    etag: true
);
endpoint!(
    /// Changes the fields that are given. Honours `If-Match`.
    UpdateToken, "PUT", "/api/tokens/{id}", Some(Action::ChangeToken), 200, UpdateTokenRequest => TokenChanged,
    if_match: true,
    example: Some(r#"{ "description": "Sends invoices", "ip_allow": ["203.0.113.0/24"], "limits": { "calls_per_minute": 30 } }"#)
);
endpoint!(
    /// Revokes the token permanently.
    RevokeToken, "DELETE", "/api/tokens/{id}", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Refuses the token's calls until it is enabled. A repeat changes nothing.
    DisableToken, "POST", "/api/tokens/{id}/disable", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Lets a disabled token work again.
    EnableToken, "POST", "/api/tokens/{id}/enable", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Adds a secret and sets an expiry for the others. Honours `Idempotency-Key`.
    RotateToken, "POST", "/api/tokens/{id}/rotate", Some(Action::ChangeToken), 201, RotateTokenRequest => TokenCreated,
    if_match: true,
    idempotent: true,
    body: Body::Optional,
    example: Some(r#"{ "grace_hours": 24 }"#)
);
endpoint!(
    /// Extends the expiry by `days`, counted from the current expiry or from now, whichever is later.
    ExtendToken, "POST", "/api/tokens/{id}/extend", Some(Action::ChangeToken), 200, ExtendTokenRequest => TokenChanged,
    if_match: true,
    example: Some(r#"{ "days": 90 }"#)
);
endpoint!(
    /// Explains whether a call would be allowed: each step of the gateway's decision with its reason. It
    /// runs the gateway's own function on the current data in D1.
    ExplainToken, "POST", "/api/tokens/{id}/explain", Some(Action::ReadToken), 200, ExplainRequest => Explanation,
    is_change: false,
    example: Some(r#"{ "method": "GET", "path": "/api/openai/models", "client_ip": "203.0.113.7" }"#)
);
endpoint!(
    /// Lists the token's secrets, newest first, without their text.
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
    /// 1 to 3650 days from now; null or absent means that the token never expires.
    #[serde(default)]
    pub expires_days: Option<i64>,
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default)]
    pub ip_allow: Vec<String>,
    /// Limits of the token. Callers who may not loosen limits can set none that is looser than the team's.
    #[serde(default, deserialize_with = "optional_object")]
    pub limits: Option<Limits>,
    /// Whether calls may ask the gateway to inject faults, to test a workflow.
    #[serde(default)]
    pub inject_faults: bool,
}

/// Only the fields that are present change; `null` clears a field that may be empty.
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
    /// Days from now; `null` means that the token never expires.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_days: Option<Option<i64>>,
    #[cfg_attr(feature = "schema", schemars(length(max = 50)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_allow: Option<Vec<String>>,
    /// Replaces all of the token's limits. Loosening one requires MANAGER.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    pub limits: Option<Option<Limits>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_faults: Option<bool>,
}

/// Distinguishes `null` (`Some(None)`) from absent (`None`).
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateTokenRequest {
    /// Hours for which the current secrets keep working: 0 to 720, default 24.
    #[serde(default)]
    pub grace_hours: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExtendTokenRequest {
    /// 1 to 3650; null means that the token never expires.
    pub days: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    pub method: String,
    /// A path such as `/api/openai/models`; a query is ignored.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<String>,
}

/// The decision that the gateway would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    pub allowed: bool,
    /// All steps, including those after the first denial.
    pub steps: Vec<StepResult>,
    /// The route that matches the path.
    pub route_id: Option<RouteId>,
    pub route_path: Option<String>,
    /// The first scope that covers the call.
    pub scope: Option<String>,
    /// Status of the gateway's response if it denies.
    pub status: Option<u16>,
    pub code: Option<String>,
    /// Whether the data behind this decision has reached KV.
    pub propagation: Propagation,
}

/// Query of the list; every field is optional.
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
    /// The token's own limits; the team's apply for each that is not set.
    pub limits: Limits,
    pub inject_faults: bool,
    /// Fields whose stored value this version cannot read; they show as empty. An edit
    /// is refused unless it sets each of them.
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
    /// Version of the row, which is also the `ETag`.
    pub version: u64,
}

/// The response to a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenChanged {
    #[serde(flatten)]
    pub token: TokenView,
    pub propagation: Propagation,
}

/// The only response that shows a secret. A repeat under the same `Idempotency-Key` has none.
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
    /// Time of the last call whose usage event has arrived; `null` if there was none since these times are kept.
    pub last_used_at: Option<UnixMs>,
    /// Whether it has the earlier system's form, which has no check.
    pub legacy: bool,
}

/// A request that has passed its checks.
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

/// A change that has passed its checks; `None` leaves a field unchanged.
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
    /// Returns the new expiry of a token that expires at `present`.
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
    /// Checks the request. Returns the grace period in ms.
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

/// Checks a list of scopes. Returns each scope once.
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

/// Checks a list of networks. Returns them in canonical form, each once.
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
    fn null_clears_and_absent_keeps() {
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
        assert_eq!(extend(Some(1), Some(10)), Ok(Some(1_000 + DAY_MS)), "an expired one counts from now");
        assert_eq!(extend(None, Some(10)), Ok(None));
        assert!(extend(Some(0), None).is_err() && extend(Some(3_651), None).is_err());
        assert!(extend(Some(3_650), Some(DAY_MS)).is_err(), "no later than a new token could expire");
    }

    #[test]
    fn grace_is_bounded() {
        assert_eq!(RotateTokenRequest::default().validate(), Ok(DEFAULT_GRACE_MS));
        assert!(RotateTokenRequest { grace_hours: Some(721) }.validate().is_err());
        assert!(RotateTokenRequest { grace_hours: Some(-1) }.validate().is_err());
    }
}
