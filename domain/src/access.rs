//! The access decision: may this token make this call?
//!
//! [`decide`] is what the gateway runs and [`explain`] what people are shown; both walk the same
//! checks. Only `decide` makes a [`Permit`], and the gateway's forwarding takes one, so a call
//! that skipped the decision does not compile.

use crate::error::GatewayError;
use crate::kv::{TokenRecord, TokenState};
use crate::route::{RequestPath, Route, RouteTable};
use crate::time::UnixMs;
use crate::usage::Outcome;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// What the decision needs to know of a call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// In upper case.
    pub method: &'a str,
    pub path: &'a RequestPath,
    pub client_ip: Option<IpAddr>,
    pub now: UnixMs,
}

/// Why a known token may not make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    #[error("the token was revoked")]
    Revoked,
    #[error("the token is disabled")]
    Disabled,
    #[error("the token has expired")]
    Expired,
    #[error("another secret took this one's place and its grace is over")]
    SecretEnded,
    #[error("the client's address is not in the token's allow-list")]
    IpNotAllowed,
    #[error("no route matches the path")]
    NoRoute,
    #[error("the route does not take this method")]
    Method,
    #[error("none of the token's scopes covers the call")]
    Scope,
}

impl Denial {
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Revoked => Outcome::DeniedRevoked,
            Self::Disabled => Outcome::DeniedDisabled,
            Self::Expired | Self::SecretEnded => Outcome::DeniedExpired,
            Self::IpNotAllowed => Outcome::DeniedIp,
            Self::NoRoute => Outcome::DeniedRoute,
            Self::Method => Outcome::DeniedMethod,
            Self::Scope => Outcome::DeniedScope,
        }
    }

    /// What the client is told. Revoked and disabled look like unknown.
    pub fn error(self) -> GatewayError {
        match self {
            Self::Revoked | Self::Disabled => GatewayError::InvalidApiKey,
            Self::Expired | Self::SecretEnded => GatewayError::TokenExpired,
            Self::IpNotAllowed => GatewayError::IpNotAllowed,
            Self::NoRoute => GatewayError::RouteNotFound,
            Self::Method => GatewayError::MethodNotAllowed,
            Self::Scope => GatewayError::PermissionDenied,
        }
    }
}

/// Leave to make one call: this token, this route. Made by [`decide`] alone.
#[derive(Clone, Debug)]
pub struct Permit {
    token: Arc<TokenRecord>,
    route: Arc<Route>,
    /// The route in the table, whose credential goes with the call.
    origin: Arc<Route>,
}

impl Permit {
    pub fn token(&self) -> &Arc<TokenRecord> {
        &self.token
    }

    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The table's own entry of the route: what its credential is kept under.
    pub fn origin(&self) -> &Arc<Route> {
        &self.origin
    }

    /// The same call by the second upstream that the route names: that route's address and credential
    /// under this route's path, in this route's time.
    pub fn failover(&self, table: &RouteTable) -> Option<Self> {
        let id = &self.route.settings.failover.as_ref()?.route_id;
        let second = table.iter().find(|route| route.id == *id)?;
        let route = Route {
            path: self.route.path.clone(),
            timeout_ms: self.route.timeout_ms,
            forward_cookies: self.route.forward_cookies,
            cors_origins: self.route.cors_origins.clone(),
            settings: self.route.settings.clone(),
            ..Route::clone(second)
        };
        Some(Self { token: Arc::clone(&self.token), route: Arc::new(route), origin: Arc::clone(second) })
    }
}

/// The checks in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    State,
    Expiry,
    ClientIp,
    Route,
    Method,
    Scope,
}

/// One step of an explanation; `denial` is `None` where the step passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepResult {
    pub step: Step,
    pub denial: Option<Denial>,
}

fn check_state(token: &TokenRecord) -> Result<(), Denial> {
    match token.state {
        TokenState::Active => Ok(()),
        TokenState::Disabled => Err(Denial::Disabled),
        TokenState::Revoked => Err(Denial::Revoked),
    }
}

fn check_expiry(token: &TokenRecord, now: UnixMs) -> Result<(), Denial> {
    if token.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::Expired);
    }
    if token.secret_ends_at.is_some_and(|end| end <= now) {
        return Err(Denial::SecretEnded);
    }
    Ok(())
}

/// An allow-list refuses a client whose address is not known.
fn check_ip(token: &TokenRecord, client_ip: Option<IpAddr>) -> Result<(), Denial> {
    let allowed = |ip: IpAddr| token.ip_allow.iter().any(|network| network.contains(&ip.to_canonical()));
    if token.ip_allow.is_empty() || client_ip.is_some_and(allowed) {
        Ok(())
    } else {
        Err(Denial::IpNotAllowed)
    }
}

fn check_method(route: &Route, method: &str) -> Result<(), Denial> {
    if route.allows(method) { Ok(()) } else { Err(Denial::Method) }
}

fn check_scope(token: &TokenRecord, route: &Route, call: &Call) -> Result<(), Denial> {
    let covered = token.scopes.iter().any(|scope| scope.covers(call.method, call.path, route));
    if covered { Ok(()) } else { Err(Denial::Scope) }
}

/// Decides a call. Default deny: every step must pass.
pub fn decide(token: &Arc<TokenRecord>, table: &RouteTable, call: &Call) -> Result<Permit, Denial> {
    check_state(token)?;
    check_expiry(token, call.now)?;
    check_ip(token, call.client_ip)?;
    let route = table.find(call.path).ok_or(Denial::NoRoute)?;
    check_method(route, call.method)?;
    check_scope(token, route, call)?;
    Ok(Permit { token: Arc::clone(token), route: Arc::clone(route), origin: Arc::clone(route) })
}

/// Every step of [`decide`] with its result, also those after the first denial. Steps that need a
/// route are left out where there is none.
pub fn explain(token: &TokenRecord, table: &RouteTable, call: &Call) -> Vec<StepResult> {
    let result = |step, verdict: Result<(), Denial>| StepResult { step, denial: verdict.err() };
    let route = table.find(call.path);
    let mut steps = vec![
        result(Step::State, check_state(token)),
        result(Step::Expiry, check_expiry(token, call.now)),
        result(Step::ClientIp, check_ip(token, call.client_ip)),
        result(Step::Route, route.map(|_| ()).ok_or(Denial::NoRoute)),
    ];
    if let Some(route) = route {
        steps.push(result(Step::Method, check_method(route, call.method)));
        steps.push(result(Step::Scope, check_scope(token, route, call)));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limits;
    use crate::route::tests::route;
    use proptest::prelude::*;

    fn token() -> TokenRecord {
        TokenRecord {
            v: 2,
            id: "tok_1".into(),
            name: "n8n".into(),
            team: "ops".into(),
            scopes: vec!["x".parse().unwrap()],
            expires_at: None,
            state: TokenState::Active,
            secret_ends_at: None,
            ip_allow: vec![],
            limits: Limits::default(),
            inject_faults: false,
            version: 1,
        }
    }

    fn verdict(token: TokenRecord, method: &str, path: &str) -> Result<(), Denial> {
        let mut x = route("/api/x", "https://h.example");
        x.methods = vec!["GET".parse().unwrap()];
        let table = RouteTable::new([x], false, 1);
        let path = RequestPath::parse(path).unwrap();
        let call = Call { method, path: &path, client_ip: Some("10.1.2.3".parse().unwrap()), now: 1_000 };
        let steps = explain(&token, &table, &call);
        let decided = decide(&Arc::new(token), &table, &call).map(|_| ());
        assert_eq!(steps.iter().find_map(|s| s.denial), decided.err(), "explain tells what decide decides");
        decided
    }

    #[test]
    fn a_covered_call_is_permitted() {
        assert_eq!(verdict(token(), "GET", "/api/x/1"), Ok(()));
    }

    #[test]
    fn each_reason_denies() {
        let with = |change: fn(&mut TokenRecord)| {
            let mut token = token();
            change(&mut token);
            verdict(token, "GET", "/api/x/1")
        };
        assert_eq!(with(|t| t.state = TokenState::Revoked), Err(Denial::Revoked));
        assert_eq!(with(|t| t.state = TokenState::Disabled), Err(Denial::Disabled));
        assert_eq!(with(|t| t.expires_at = Some(1_000)), Err(Denial::Expired));
        assert_eq!(with(|t| t.expires_at = Some(1_001)), Ok(()));
        assert_eq!(with(|t| t.secret_ends_at = Some(1_000)), Err(Denial::SecretEnded));
        assert_eq!(with(|t| t.ip_allow = vec!["10.2.0.0/16".parse().unwrap()]), Err(Denial::IpNotAllowed));
        assert_eq!(with(|t| t.ip_allow = vec!["10.1.0.0/16".parse().unwrap()]), Ok(()));
        assert_eq!(with(|t| t.scopes.clear()), Err(Denial::Scope));
        assert_eq!(verdict(token(), "GET", "/api/y"), Err(Denial::NoRoute));
        assert_eq!(verdict(token(), "POST", "/api/x"), Err(Denial::Method));
    }

    proptest! {
        /// Parity fault 4: a token without scopes was let in everywhere.
        #[test]
        fn an_empty_scope_list_grants_nothing(method in "GET|POST", path in "(/[a-z]{1,3}){1,4}") {
            let mut token = token();
            token.scopes.clear();
            prop_assert!(verdict(token, &method, &path).is_err());
        }
    }
}
