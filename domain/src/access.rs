//! The access decision: may this token make this call?
//!
//! [`decide`] is what the gateway runs and [`explain`] what people are shown; both walk the same
//! checks. Only `decide` makes a [`Permit`], and the gateway's forwarding takes one, so a call
//! that skipped the decision does not compile.

pub mod carrier;
pub mod derived;
pub mod exchange;
pub mod network;
pub mod path;
pub mod record;
pub mod remedy;
pub mod rule;
pub mod scope;

use crate::access::derived::Derived;
use crate::access::path::RequestPath;
use crate::access::record::{TokenRecord, TokenState};
use crate::access::rule::Rule;
use crate::access::scope::Scope;
use crate::error::GatewayError;
use crate::method::is_idempotent;
use crate::route::{Route, RouteTable};
use crate::time::UnixMs;
use crate::upstream::Mount;
use crate::upstream::settings::AiSettings;
use crate::usage::outcome::Outcome;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Facts about a call that the decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// In upper case.
    pub method: &'a str,
    /// The path as it is decided on and sent.
    pub path: &'a RequestPath,
    /// The address that the edge saw; `None` if it is unknown.
    pub client_ip: Option<IpAddr>,
    /// The time of the decision, unix ms.
    pub now: UnixMs,
}

pub use crate::problem::Denial;

impl Denial {
    /// Returns the outcome that the call is recorded under.
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

    /// Returns the error for the client. Revoked and disabled look like unknown.
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

/// Permission to make one call with one token on one route. Only [`decide`] can create it, also for [`decide_derived`].
#[derive(Clone, Debug)]
pub struct Permit {
    token: Arc<TokenRecord>,
    route: Arc<Route>,
    origin: Arc<Route>,
}

impl Permit {
    /// The token that makes the call.
    pub fn token(&self) -> &Arc<TokenRecord> {
        &self.token
    }

    /// The route that takes the call: its path, its behaviour.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The route whose target is called; differs from [`Permit::route`] after a failover.
    pub fn origin(&self) -> &Arc<Route> {
        &self.origin
    }

    /// The upstream that is called, under the path of the route that takes the call.
    pub fn mount(&self) -> Mount<'_> {
        Mount { upstream: &self.origin.target.upstream, path: &self.route.rule.path }
    }

    /// The AI settings of the upstream that is called.
    pub fn ai(&self) -> Option<&AiSettings> {
        self.origin.behaviour.settings.ai.as_ref()
    }

    /// The same call by the second upstream that the route names: that route's target and AI settings, under this
    /// route's path and behaviour. `None` if that route takes no call of this method, or is closed for maintenance,
    /// or if the method may not be sent twice.
    ///
    /// The token's scopes are not checked for the second route. Clients of a route do not know its second upstream; the
    /// person who named it had permission to set that route's credential, and lent it to them.
    pub fn failover(&self, method: &str, table: &RouteTable) -> Option<Self> {
        let failover = self.route.behaviour.settings.failover.as_ref()?;
        let second = table.iter().find(|route| route.rule.id == failover.route_id)?;
        let may_repeat = failover.any_method || is_idempotent(method);
        if !may_repeat || !second.rule.allows(method) || second.behaviour.settings.maintenance.is_some() {
            return None;
        }
        Some(Self { origin: Arc::clone(second), ..self.clone() })
    }
}

/// The checks in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is named after what it checks")]
pub enum Step {
    State,
    Expiry,
    ClientIp,
    Route,
    Method,
    Scope,
}

/// One step of an explanation; `denial` is `None` if the step passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepResult {
    /// The check that was made.
    pub step: Step,
    /// The reason for a denial; `None` if the step passed.
    pub denial: Option<Denial>,
}

pub(crate) fn check_state(token: &TokenRecord) -> Result<(), Denial> {
    match token.state {
        TokenState::Active => Ok(()),
        TokenState::Disabled => Err(Denial::Disabled),
        TokenState::Revoked => Err(Denial::Revoked),
    }
}

pub(crate) fn check_expiry(token: &TokenRecord, now: UnixMs) -> Result<(), Denial> {
    if token.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::Expired);
    }
    if token.secret_ends_at.is_some_and(|end| end <= now) {
        return Err(Denial::SecretEnded);
    }
    Ok(())
}

fn check_ip(token: &TokenRecord, client_ip: Option<IpAddr>) -> Result<(), Denial> {
    if network::admits(&token.ip_allow, client_ip) { Ok(()) } else { Err(Denial::IpNotAllowed) }
}

fn check_method(rule: &Rule, method: &str) -> Result<(), Denial> {
    if rule.allows(method) { Ok(()) } else { Err(Denial::Method) }
}

fn check_scope(token: &TokenRecord, rule: &Rule, call: &Call) -> Result<(), Denial> {
    let covers = |scopes: &[Scope]| scopes.iter().any(|scope| scope.covers(call.method, call.path, rule));
    // A cap by service or tag depends on the route that was found.
    let is_within_cap = token.cap.as_deref().is_none_or(covers);
    if covers(&token.scopes) && is_within_cap { Ok(()) } else { Err(Denial::Scope) }
}

/// Decides a call. Default deny: every step must pass.
pub fn decide(token: &Arc<TokenRecord>, table: &RouteTable, call: &Call) -> Result<Permit, Denial> {
    check_state(token)?;
    check_expiry(token, call.now)?;
    check_ip(token, call.client_ip)?;
    let route = table.find(call.path).ok_or(Denial::NoRoute)?;
    check_method(&route.rule, call.method)?;
    check_scope(token, &route.rule, call)?;
    Ok(Permit { token: Arc::clone(token), route: Arc::clone(route), origin: Arc::clone(route) })
}

/// Decides a call with a token that was derived from `parent`. It must be permitted to the parent as that is now, and lie
/// within what was given to the derived token, so a derived token never opens more than its parent.
pub fn decide_derived(
    parent: &Arc<TokenRecord>,
    derived: &Derived,
    table: &RouteTable,
    call: &Call,
) -> Result<Permit, Denial> {
    derived.check(call.client_ip, call.now)?;
    let permit = decide(parent, table, call)?;
    if !parent.may_derive {
        return Err(Denial::Disabled);
    }
    if derived.covers(call.method, call.path, &permit.route.rule) { Ok(permit) } else { Err(Denial::Scope) }
}

/// Returns every step of [`decide`] with its result, even those after the first denial. Steps that need a route are
/// left out if there is none.
pub fn explain<R: AsRef<Rule>>(token: &TokenRecord, table: &RouteTable<R>, call: &Call) -> Vec<StepResult> {
    let result = |step, verdict: Result<(), Denial>| StepResult { step, denial: verdict.err() };
    let rule = table.find(call.path).map(|route| (**route).as_ref());
    let mut steps = vec![
        result(Step::State, check_state(token)),
        result(Step::Expiry, check_expiry(token, call.now)),
        result(Step::ClientIp, check_ip(token, call.client_ip)),
        result(Step::Route, rule.map(|_| ()).ok_or(Denial::NoRoute)),
    ];
    if let Some(rule) = rule {
        steps.push(result(Step::Method, check_method(rule, call.method)));
        steps.push(result(Step::Scope, check_scope(token, rule, call)));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::scope::{cap_to_check, within_cap};
    use crate::limit::Limits;
    use crate::limit::ledger::Zone;
    use crate::route::tests::route;
    use crate::stored::Unread;
    use crate::upstream::settings::{AiProvider, Failover, Maintenance};
    use proptest::prelude::*;

    fn token() -> TokenRecord {
        TokenRecord {
            v: 2,
            id: "tok_1".into(),
            name: "n8n".into(),
            team: "ops".into(),
            scopes: vec!["x".parse().unwrap()],
            cap: None,
            expires_at: None,
            state: TokenState::Active,
            secret_ends_at: None,
            ip_allow: vec![],
            limits: Limits::default(),
            team_budget: Limits::default(),
            zone: Zone::default(),
            inject_faults: false,
            may_derive: false,
            version: 1,
        }
    }

    fn verdict(token: TokenRecord, method: &str, path: &str) -> Result<(), Denial> {
        let mut x = route("/api/x", "https://h.example");
        x.rule.methods = vec!["GET".parse().unwrap()];
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

    /// The cap `openai` admits the scope `/api/openai/*`; a route `/api` is not of that service.
    #[test]
    fn a_cap_by_service_holds_for_a_route_of_one_segment() {
        let capped = |base: &str| {
            let cap: Vec<Scope> = vec!["openai".parse().unwrap()];
            let given: Vec<Scope> = vec!["/api/openai/*".parse().unwrap()];
            let scopes = within_cap(&given, Some(&cap));
            let token = TokenRecord { cap: cap_to_check(&given, Some(&cap), &scopes), scopes, ..token() };
            let table = RouteTable::new([route(base, "https://h.example")], false, 1);
            let path = RequestPath::parse("/api/openai/models").unwrap();
            decide(&Arc::new(token), &table, &Call { method: "GET", path: &path, client_ip: None, now: 0 })
                .map(|_| ())
        };
        assert_eq!(capped("/api"), Err(Denial::Scope));
        assert_eq!(capped("/api/openai"), Ok(()));
        assert_eq!(capped("/api/openai/models"), Ok(()));
    }

    #[test]
    fn a_second_upstream_is_called_by_its_own_rules() {
        let ai = |provider| AiSettings { provider, include_usage: false, unread: Unread::default() };
        let mut first = route("/api/x", "https://first.example");
        first.behaviour.settings.failover = Some(Failover {
            route_id: "rte_/api/y".into(),
            any_method: true,
            on_refusal: false,
            models: [].into(),
            unread: Unread::default(),
        });
        let mut second = route("/api/y", "https://second.example");
        second.rule.methods = vec!["GET".parse().unwrap()];
        second.behaviour.settings.ai = Some(ai(AiProvider::Anthropic));
        second.behaviour.timeout_ms = 1;
        let of = |method: &str, first: &Route, second: &Route| {
            let table = RouteTable::new([first.clone(), second.clone()], false, 1);
            let path = RequestPath::parse("/api/x/z").unwrap();
            let call = Call { method, path: &path, client_ip: None, now: 0 };
            let permit = decide(&Arc::new(token()), &table, &call).unwrap();
            permit.failover(method, &table)
        };
        let lent = of("GET", &first, &second).unwrap();
        assert_eq!(
            (lent.origin().rule.id.as_str(), lent.route().rule.path.as_str()),
            ("rte_/api/y", "/api/x")
        );
        let Mount { path, upstream } = lent.mount();
        assert_eq!((path.as_str(), upstream.as_str()), ("/api/x", "https://second.example/"));
        assert_eq!(lent.ai(), Some(&ai(AiProvider::Anthropic)));
        assert_eq!(lent.route().behaviour, first.behaviour);
        assert!(of("POST", &first, &second).is_none(), "the second takes no POST");
        let mut closed = second.clone();
        closed.behaviour.settings.maintenance =
            Some(Maintenance { message: "x".into(), retry_after_s: 1, unread: Unread::default() });
        assert!(of("GET", &first, &closed).is_none(), "the second is closed");
        let mut own = first;
        own.behaviour.settings.ai = Some(ai(AiProvider::Openai));
        assert_eq!(of("GET", &own, &second).unwrap().ai(), Some(&ai(AiProvider::Anthropic)));
    }

    proptest! {
        /// Whatever routes there are, shorter than the scopes, nested or tagged: what is published of a token
        /// under a cap opens exactly what its scopes and the cap both cover, of what was kept of the scopes.
        #[test]
        fn no_call_passes_a_cap_that_does_not_cover_it(
            scopes in proptest::collection::vec(0..10_usize, 0..4),
            cap in proptest::collection::vec(0..10_usize, 0..4),
            routes in proptest::collection::vec((0..5_usize, proptest::bool::ANY), 1..4),
            path in 0..6_usize,
            post in proptest::bool::ANY,
        ) {
            let texts = ["*", "x", "y", "tag:t", "route:rte_/api", "/api/x", "/api/x/*", "GET /api/*", "POST /api/x/y/*", "/api/y/*"];
            let list = |picked: &[usize]| -> Vec<Scope> { picked.iter().map(|i| texts[*i].parse().unwrap()).collect() };
            let (scopes, cap) = (list(&scopes), list(&cap));
            let table = RouteTable::new(
                routes.iter().map(|(path, tagged)| {
                    let mut route = route(["/api", "/api/x", "/api/x/y", "/x", "/api/y"][*path], "https://h.example");
                    route.rule.tags = if *tagged { vec!["t".into()] } else { vec![] };
                    route
                }),
                false,
                1,
            );
            let path = RequestPath::parse(["/api", "/api/x", "/api/x/y", "/api/x/y/z", "/api/y/z", "/x/x"][path]).unwrap();
            let method = if post { "POST" } else { "GET" };
            let call = Call { method, path: &path, client_ip: None, now: 0 };
            let published = within_cap(&scopes, Some(&cap));
            let token = TokenRecord { cap: cap_to_check(&scopes, Some(&cap), &published), scopes: published, ..token() };
            let steps = explain(&token, &table, &call);
            let decided = decide(&Arc::new(token), &table, &call);
            prop_assert_eq!(steps.iter().find_map(|s| s.denial), decided.as_ref().err().copied());
            if let Ok(permit) = decided {
                let covers = |list: &[Scope]| list.iter().any(|scope| scope.covers(method, &path, &permit.route().rule));
                prop_assert!(covers(&scopes) && covers(&cap), "{scopes:?} {cap:?} {path:?} {}", permit.route().rule.path.as_str());
            }
        }

        /// Parity fault 4: a token without scopes was let in everywhere.
        #[test]
        fn an_empty_scope_list_grants_nothing(method in "GET|POST", path in "(/[a-z]{1,3}){1,4}") {
            let mut token = token();
            token.scopes.clear();
            prop_assert!(verdict(token, &method, &path).is_err());
        }
    }
}
