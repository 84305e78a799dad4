//! The checks of requests to `/api/tokens`.

use super::{
    CreateTokenRequest, ExtendTokenRequest, MAX_DESCRIPTION_CHARS, MAX_EXPIRES_DAYS, MAX_IP_ALLOW,
    MAX_NAME_CHARS, RotateTokenRequest, UpdateTokenRequest,
};
use crate::limits::check_limits;
use domain::access::network;
use domain::access::scope::{MAX_SCOPES, Scope};
use domain::error::FieldError;
use domain::id::TeamId;
use domain::limit::Limits;
use domain::problem::Invalid;
use domain::time::{DAY_MS, HOUR_MS, UnixMs};
use domain::token::{DEFAULT_GRACE_MS, MAX_GRACE_MS};
use ipnet::IpNet;

/// A request that has passed its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Trimmed, 1 to 255 characters.
    pub name: String,
    /// The team that it belongs to, for good. Only the form of the id is checked here.
    pub team: TeamId,
    /// At most 500 characters; `None` if it was empty.
    pub description: Option<String>,
    /// 1 to 100, each once.
    pub scopes: Vec<Scope>,
    /// Unix ms; `None` means never.
    pub expires_at: Option<UnixMs>,
    /// Networks in canonical form, each once; empty admits every address.
    pub ip_allow: Vec<IpNet>,
    /// The token's own limits.
    pub limits: Limits,
    /// Whether calls may ask for faults.
    pub inject_faults: bool,
    /// Whether other tokens may be derived from it.
    pub may_derive: bool,
}

/// A change that has passed its checks; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenChange {
    /// Trimmed, 1 to 255 characters.
    pub name: Option<String>,
    /// `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// 1 to 100, each once; they replace all earlier ones.
    pub scopes: Option<Vec<Scope>>,
    /// Unix ms; `Some(None)` means never.
    pub expires_at: Option<Option<UnixMs>>,
    /// Networks in canonical form, which replace all earlier ones; empty admits every address.
    pub ip_allow: Option<Vec<IpNet>>,
    /// Replaces all of the token's limits.
    pub limits: Option<Limits>,
    /// Whether calls may ask for faults.
    pub inject_faults: Option<bool>,
    /// Whether other tokens may be derived from it.
    pub may_derive: Option<bool>,
}

impl CreateTokenRequest {
    /// Checks every field and returns the token. `now` is the time that `expires_days` counts from.
    pub fn validate(self, now: UnixMs) -> Result<NewToken, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = check_name("name", &self.name, &mut errors);
        let description = check_description(self.description, &mut errors);
        if !self.team_id.is_well_formed() {
            errors.push(FieldError::new("team_id", Invalid::TeamId));
        }
        let scopes = check_scopes(&self.scopes, &mut errors);
        let (at, days) = (self.expires_at.map(Some), self.expires_days.map(Some));
        let expires_at = check_end(at, days, now, &mut errors).flatten();
        let token = NewToken {
            name,
            team: self.team_id,
            description,
            scopes,
            expires_at,
            ip_allow: check_ip_allow(&self.ip_allow, &mut errors),
            limits: check_limits(self.limits, &mut errors),
            inject_faults: self.inject_faults,
            may_derive: self.may_derive,
        };
        if errors.is_empty() { Ok(token) } else { Err(errors) }
    }
}

impl UpdateTokenRequest {
    /// Checks the fields that are given and returns the change. `now` is the time that `expires_days` counts
    /// from.
    pub fn validate(self, now: UnixMs) -> Result<TokenChange, Vec<FieldError>> {
        let mut errors = Vec::new();
        let change = TokenChange {
            name: self.name.map(|name| check_name("name", &name, &mut errors)),
            description: self.description.map(|text| check_description(text, &mut errors)),
            scopes: self.scopes.map(|scopes| check_scopes(&scopes, &mut errors)),
            expires_at: check_end(self.expires_at, self.expires_days, now, &mut errors),
            ip_allow: self.ip_allow.map(|list| check_ip_allow(&list, &mut errors)),
            limits: self.limits.map(|limits| check_limits(limits, &mut errors)),
            inject_faults: self.inject_faults,
            may_derive: self.may_derive,
        };
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }
}

impl ExtendTokenRequest {
    /// Returns the new expiry of a token that expires at `current`.
    pub fn validate(&self, current: Option<UnixMs>, now: UnixMs) -> Result<Option<UnixMs>, Vec<FieldError>> {
        match self.days {
            None => Ok(None),
            Some(days) if (1..=MAX_EXPIRES_DAYS).contains(&days) => {
                let end = current.map_or(now, |end| end.max(now)) + days * DAY_MS;
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

/// Checks the end, which is given in one of two ways or not at all. `Some(None)` is never.
fn check_end(
    at: Option<Option<UnixMs>>,
    days: Option<Option<i64>>,
    now: UnixMs,
    errors: &mut Vec<FieldError>,
) -> Option<Option<UnixMs>> {
    match (at, days) {
        (Some(at), None) => Some(check_expires_at(at, now, errors)),
        (None, days) => days.map(|days| check_expires_days(days, now, errors)),
        (Some(_), Some(_)) => {
            errors.push(FieldError::new("expires_at", Invalid::Twice));
            None
        }
    }
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

/// Checks an end that is given as a time. One that is over is as good as any other: the token does not work.
fn check_expires_at(at: Option<UnixMs>, now: UnixMs, errors: &mut Vec<FieldError>) -> Option<UnixMs> {
    if at.is_some_and(|at| !(0..=now + MAX_EXPIRES_DAYS * DAY_MS).contains(&at)) {
        errors.push(FieldError::new("expires_at", Invalid::EndTooLate { days: MAX_EXPIRES_DAYS }));
    }
    at
}

/// Checks a list of networks. Returns them in canonical form, each once.
pub(crate) fn check_ip_allow(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<IpNet> {
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

    #[test]
    fn an_end_is_given_once() {
        let with = |end: serde_json::Value| {
            let mut request = json!({"name":"n","team_id":"ops","scopes":["*"]});
            request.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
            fields(request)
        };
        assert_eq!(with(json!({"expires_at":5,"expires_days":1})), ["expires_at"]);
        assert!(with(json!({"expires_at":5,"expires_days":null})).is_empty());
        assert!(with(json!({"expires_at":5})).is_empty());
        let both = json!({"expires_at":null,"expires_days":1});
        let request: UpdateTokenRequest = serde_json::from_value(both).unwrap();
        assert_eq!(request.validate(0).unwrap_err()[0].field, "expires_at");
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
        let extend = |days, current| ExtendTokenRequest { days }.validate(current, 1_000);
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
