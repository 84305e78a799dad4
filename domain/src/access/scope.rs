//! Scopes: what a token may call. Any one that covers the call is enough; an empty list grants
//! nothing, everywhere.
//!
//! | text | covers |
//! |---|---|
//! | `*` | every route |
//! | `openai` | routes whose path's second segment is `openai` |
//! | `tag:ai` | routes that carry the tag |
//! | `route:rte_…` | that route |
//! | `/api/openai/models` | that path, any method |
//! | `POST,PUT /api/cloudconvert/*` | those methods on every path below, not on `/api/cloudconvert` itself |

use crate::access::path::{RequestPath, is_under};
use crate::id::RouteId;
use crate::method::Method;
use crate::route::Route;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The longest scope that is accepted, in bytes.
pub const MAX_SCOPE_LEN: usize = 300;
/// The most scopes that one token may hold.
pub const MAX_SCOPES: usize = 100;

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    All,
    Service(String),
    Tag(String),
    Route(RouteId),
    Path { methods: Vec<Method>, pattern: PathPattern },
}

/// A path, or everything below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    Exact(String),
    /// Holds the path with its last slash: `/api/x/` for `/api/x/*`.
    Below(String),
}

pub use crate::problem::InvalidScope;

impl Scope {
    /// Whether this scope covers `method` on `path`, which belongs to `route`.
    pub fn covers(&self, method: &str, path: &RequestPath, route: &Route) -> bool {
        match self {
            Self::All => true,
            Self::Service(service) => route.path.service() == Some(service),
            Self::Tag(tag) => route.tags.iter().any(|t| t == tag),
            Self::Route(id) => route.id == *id,
            Self::Path { methods, pattern } => {
                (methods.is_empty() || methods.iter().any(|m| m.as_str() == method)) && pattern.covers(path)
            }
        }
    }

    /// Whether `other` may be given under `self` as a team's scope cap. `Tag` and `Service` depend on
    /// routes that may change, so they contain only themselves, and a service the paths of its own name.
    /// Whether the route of such a path is of that service is decided call by call: see [`cap_to_check`].
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Service(service), Self::Path { pattern, .. }) => {
                pattern.text().split('/').nth(2) == Some(service) && pattern.is_inside_service()
            }
            _ => self.surely_contains(other),
        }
    }

    /// Whether this scope contains `other` whatever routes there are: a path belongs to a service only if its route does, and a
    /// route may be shorter than the path.
    fn surely_contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Path { methods, pattern }, Self::Path { methods: inner, pattern: narrower }) => {
                let methods_inside = methods.is_empty()
                    || (!inner.is_empty() && inner.iter().all(|method| methods.contains(method)));
                methods_inside && pattern.contains(narrower)
            }
            _ => self == other,
        }
    }
}

/// How much of a route a scope opens, as far as its path tells: a deeper route may take part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Nothing,
    /// Some methods or some paths.
    Part,
    Whole,
}

impl Scope {
    /// How much of `route` this scope opens; for people who choose scopes.
    pub fn reach(&self, route: &Route) -> Reach {
        let whole_if = |matches: bool| if matches { Reach::Whole } else { Reach::Nothing };
        match self {
            Self::All => Reach::Whole,
            Self::Service(service) => whole_if(route.path.service() == Some(service)),
            Self::Tag(tag) => whole_if(route.tags.iter().any(|t| t == tag)),
            Self::Route(id) => whole_if(route.id == *id),
            Self::Path { methods, pattern } => {
                if !methods.is_empty() && !methods.iter().any(|method| route.allows(method.as_str())) {
                    return Reach::Nothing;
                }
                let takes_each = methods.is_empty()
                    || (!route.methods.is_empty() && route.methods.iter().all(|m| methods.contains(m)));
                match (pattern.reach(route.path.as_str()), takes_each) {
                    (Reach::Whole, false) => Reach::Part,
                    (reach, _) => reach,
                }
            }
        }
    }
}

/// Narrows `scopes` to a team's `cap`; `None` is no cap. A scope that lies inside the cap
/// stays, a wider one shrinks to the parts of the cap that lie inside it, any other goes.
pub fn within_cap(scopes: &[Scope], cap: Option<&[Scope]>) -> Vec<Scope> {
    let Some(cap) = cap else { return scopes.to_vec() };
    let mut inside: Vec<Scope> = Vec::new();
    for scope in scopes {
        let parts: Vec<&Scope> = if cap.iter().any(|bound| bound.contains(scope)) {
            vec![scope]
        } else {
            cap.iter().filter(|bound| scope.contains(bound)).collect()
        };
        for part in parts {
            if !inside.contains(part) {
                inside.push(part.clone());
            }
        }
    }
    inside
}

/// The bounds that each call has to be held to besides `inside`, which is `scopes` [`within_cap`]. `None` if
/// `inside` keeps within scopes and cap whatever routes there are.
///
/// Only a path that was taken to lie in a service may not: its route may be shorter. It is then held to that
/// service, and everything else to itself.
pub fn cap_to_check(scopes: &[Scope], cap: Option<&[Scope]>, inside: &[Scope]) -> Option<Vec<Scope>> {
    let cap = cap?;
    let mut bounds: Vec<Scope> = Vec::new();
    let mut is_needed = false;
    for scope in inside {
        let unsure = |list: &&[Scope]| !list.iter().any(|bound| bound.surely_contains(scope));
        let services: Vec<&Scope> = [scopes, cap]
            .into_iter()
            .filter(unsure)
            .flat_map(|list| list.iter().filter(|bound| bound.contains(scope)))
            .collect();
        is_needed |= !services.is_empty();
        let held_to = if services.is_empty() { vec![scope] } else { services };
        bounds.extend(held_to.into_iter().cloned());
    }
    is_needed.then_some(bounds)
}

impl PathPattern {
    fn covers(&self, path: &RequestPath) -> bool {
        // What an upstream might decode into a climb is outside every pattern.
        if path.has_encoded_climb() {
            return false;
        }
        match self {
            Self::Exact(exact) => path.as_str() == exact,
            Self::Below(prefix) => {
                path.as_str().len() > prefix.len() && path.as_str().starts_with(prefix.as_str())
            }
        }
    }

    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Exact(_), Self::Below(_)) => false,
            (Self::Below(prefix), Self::Exact(path)) => {
                path.len() > prefix.len() && path.starts_with(prefix.as_str())
            }
            (Self::Below(prefix), Self::Below(deeper)) => deeper.starts_with(prefix.as_str()),
        }
    }

    /// How much of the route at `path` lies in this pattern.
    fn reach(&self, path: &str) -> Reach {
        match self {
            Self::Below(prefix) if path.starts_with(prefix.as_str()) => Reach::Whole,
            Self::Exact(text) | Self::Below(text) if is_under(text, path) => Reach::Part,
            _ => Reach::Nothing,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Below(text) => text,
        }
    }

    /// Whether the service's segment is complete: `/api/x` and `/api/x/*`, but not `/api/*`.
    fn is_inside_service(&self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Below(prefix) => prefix.split('/').count() > 3,
        }
    }
}

impl FromStr for PathPattern {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let (path, below) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let legal = path.starts_with('/')
            && (!below || path.ends_with('/'))
            && path.bytes().all(|b| {
                b.is_ascii_graphic() && !matches!(b, b'*' | b'?' | b'#' | b'\\' | b'"' | b'<' | b'>')
            })
            && path.split('/').all(|segment| segment != "." && segment != "..");
        match (legal, below) {
            (false, _) => Err(InvalidScope::Path),
            (true, true) => Ok(Self::Below(path.to_owned())),
            (true, false) => Ok(Self::Exact(path.to_owned())),
        }
    }
}

/// The form of a service or tag: 1 to 64 letters, digits, `-`, `_`, `.`.
pub fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_SCOPE_LEN {
            return Err(InvalidScope::Length);
        }
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(tag) = text.strip_prefix("tag:") {
            return is_label(tag).then(|| Self::Tag(tag.to_owned())).ok_or(InvalidScope::Name);
        }
        if let Some(id) = text.strip_prefix("route:") {
            // A route read from a v1 table has its path in its id.
            let legal = !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic());
            return legal.then(|| Self::Route(RouteId::from(id))).ok_or(InvalidScope::Name);
        }
        if text.starts_with('/') {
            return Ok(Self::Path { methods: vec![], pattern: text.parse()? });
        }
        if let Some((methods, pattern)) = text.split_once(' ') {
            let methods = methods.split(',').map(str::parse).collect::<Result<Vec<Method>, _>>();
            return Ok(Self::Path {
                methods: methods.map_err(|_| InvalidScope::Method)?,
                pattern: pattern.trim_start().parse()?,
            });
        }
        is_label(text).then(|| Self::Service(text.to_owned())).ok_or(InvalidScope::Name)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Service(service) => f.write_str(service),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Route(id) => write!(f, "route:{id}"),
            Self::Path { methods, pattern } => {
                for (i, method) in methods.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { "," }, method.as_str())?;
                }
                let gap = if methods.is_empty() { "" } else { " " };
                match pattern {
                    PathPattern::Exact(path) => write!(f, "{gap}{path}"),
                    PathPattern::Below(prefix) => write!(f, "{gap}{prefix}*"),
                }
            }
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;

    fn try_from(text: String) -> Result<Self, InvalidScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::route;
    use proptest::prelude::*;

    fn covers(scope: &str, method: &str, path: &str) -> bool {
        let mut openai = route("/api/openai", "https://api.openai.com/v1");
        openai.tags = vec!["ai".into()];
        scope.parse::<Scope>().unwrap().covers(method, &RequestPath::parse(path).unwrap(), &openai)
    }

    #[test]
    fn a_cap_keeps_what_lies_inside_it_and_shrinks_what_is_wider() {
        let list = |texts: &[&str]| -> Vec<Scope> { texts.iter().map(|t| t.parse().unwrap()).collect() };
        let within = |scopes: &[&str], cap: &[&str]| within_cap(&list(scopes), Some(&list(cap)));
        assert_eq!(within(&["*"], &["openai", "tag:ai"]), list(&["openai", "tag:ai"]));
        assert_eq!(within(&["openai", "aws"], &["openai"]), list(&["openai"]));
        assert_eq!(within(&["/api/openai/models"], &["openai"]), list(&["/api/openai/models"]));
        assert_eq!(within(&["/api/openai/*"], &["GET /api/openai/*"]), list(&["GET /api/openai/*"]));
        assert_eq!(within(&["*", "openai"], &[]), list(&[]), "an empty cap admits nothing");
        assert_eq!(within_cap(&list(&["*"]), None), list(&["*"]));
    }

    proptest::proptest! {
        /// Whatever the cap, what is left covers no call that the token or the cap does not cover.
        #[test]
        fn what_is_left_covers_only_what_both_cover(scopes in proptest::collection::vec(0..7_usize, 0..4), cap in proptest::collection::vec(0..7_usize, 0..4), path in 0..4_usize, post in proptest::bool::ANY) {
            let texts = ["*", "x", "tag:t", "route:r1", "/api/x/a", "GET /api/x/*", "POST,GET /api/y/*"];
            let list = |picked: &[usize]| -> Vec<Scope> { picked.iter().map(|i| texts[*i].parse().unwrap()).collect() };
            let (scopes, cap) = (list(&scopes), list(&cap));
            let path = RequestPath::parse(["/api/x/a", "/api/x/b", "/api/y/a", "/api/z"][path]).unwrap();
            let base = if path.as_str().starts_with("/api/x") { "/api/x" } else { path.as_str() };
            let route = route(base, "https://x.example");
            let method = if post { "POST" } else { "GET" };
            let covers = |list: &[Scope]| list.iter().any(|scope| scope.covers(method, &path, &route));
            if covers(&within_cap(&scopes, Some(&cap))) {
                proptest::prop_assert!(covers(&scopes) && covers(&cap));
            }
        }
    }

    #[test]
    fn each_form_covers_what_it_says() {
        for scope in
            ["*", "openai", "tag:ai", "route:rte_/api/openai", "GET /api/openai/models", "/api/openai/*"]
        {
            assert!(covers(scope, "GET", "/api/openai/models"), "{scope}");
        }
        for scope in [
            "open",
            "tag:a",
            "route:rte_other",
            "POST /api/openai/models",
            "/api/openai",
            "/api/openai/model",
            "GET /api/openai/models/*",
        ] {
            assert!(!covers(scope, "GET", "/api/openai/models"), "{scope}");
        }
    }

    #[test]
    fn a_scope_tells_how_much_of_a_route_it_opens() {
        let mut openai = route("/api/openai", "https://api.openai.com/v1");
        openai.tags = vec!["ai".into()];
        openai.methods = vec!["GET".parse().unwrap(), "POST".parse().unwrap()];
        let reach = |scope: &str| scope.parse::<Scope>().unwrap().reach(&openai);
        for whole in ["*", "openai", "tag:ai", "route:rte_/api/openai", "/api/*", "GET,POST /api/*"] {
            assert_eq!(reach(whole), Reach::Whole, "{whole}");
        }
        // `/api/openai/*` leaves out `/api/openai` itself.
        for part in ["/api/openai/*", "/api/openai", "GET /api/openai/models", "GET /api/*"] {
            assert_eq!(reach(part), Reach::Part, "{part}");
        }
        for nothing in ["open", "tag:a", "route:rte_other", "DELETE /api/*", "/api/openai2", "/api", "/x/*"] {
            assert_eq!(reach(nothing), Reach::Nothing, "{nothing}");
        }
    }

    proptest! {
        /// A scope that is said to reach nothing covers no call of the route.
        #[test]
        fn what_reaches_nothing_covers_nothing(scope in 0..9_usize, path in 0..4_usize, post in proptest::bool::ANY) {
            let scope: Scope = ["*", "x", "y", "tag:t", "/api/x", "/api/x/*", "GET /api/*", "POST /api/x/a", "/api/y/*"][scope].parse().unwrap();
            let route = route("/api/x", "https://x.example");
            let path = RequestPath::parse(["/api/x", "/api/x/a", "/api/x/a/b", "/api/x/"][path]).unwrap();
            let covers = scope.covers(if post { "POST" } else { "GET" }, &path, &route);
            match scope.reach(&route) {
                Reach::Nothing => prop_assert!(!covers),
                Reach::Whole => prop_assert!(covers),
                Reach::Part => {}
            }
        }
    }

    #[test]
    fn an_encoded_climb_is_outside_every_pattern() {
        assert!(covers("/api/openai/public/*", "GET", "/api/openai/public/a%2Fb"));
        assert!(!covers("/api/openai/public/*", "GET", "/api/openai/public/..%2Fprivate"));
        assert!(!covers("/api/openai/public/*", "GET", "/api/openai/public/%2e%2e%5cprivate"));
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for bad in [
            "", " ", "**", "a b", "tag:", "tag:a b", "route:", "/a/*/b", "/a*", "/a/../b", "G3T /a",
            "GET,/a", "GET a", "/a?b",
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cap_contains_only_what_it_surely_covers() {
        let contains = |a: &str, b: &str| a.parse::<Scope>().unwrap().contains(&b.parse().unwrap());
        assert!(contains("*", "tag:ai"));
        assert!(contains("openai", "openai"));
        assert!(contains("openai", "GET /api/openai/models"));
        assert!(contains("openai", "/api/openai/*"));
        assert!(contains("/api/x/*", "POST /api/x/y/*"));
        assert!(contains("GET,POST /api/x/*", "GET /api/x/y"));
        assert!(!contains("openai", "*"));
        assert!(!contains("openai", "/api/*"));
        assert!(!contains("GET /api/x/*", "/api/x/y"));
        assert!(!contains("/api/x/*", "/api/x"));
        assert!(!contains("tag:ai", "openai"));
    }

    proptest! {
        #[test]
        fn text_survives_a_round_trip(text in "(\\*|[a-z]{1,8}|tag:[a-z]{1,8}|route:rte_[a-z]{3}|((GET|POST,PUT) )?(/[a-z]{1,4}){1,3}(/\\*)?)") {
            prop_assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
    }
}
