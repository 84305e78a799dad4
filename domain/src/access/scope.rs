//! Scopes: the calls that a token may make. One that covers the call is enough; an empty list grants nothing.
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
use crate::access::rule::Rule;
use crate::id::RouteId;
use crate::method::Method;
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
    /// Every route.
    All,
    /// Routes whose path has this second segment.
    Service(String),
    /// Routes that carry this tag.
    Tag(String),
    /// This one route.
    Route(RouteId),
    /// These methods (none is all) on the paths of the pattern.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Path { methods: Vec<Method>, pattern: PathPattern },
}

/// A path, or everything below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This path alone.
    Exact(String),
    /// Holds the path with its last slash: `/api/x/` for `/api/x/*`.
    Below(String),
}

pub use crate::problem::InvalidScope;

impl Scope {
    /// Whether this scope covers `method` on `path`, which belongs to the route of `rule`.
    pub fn covers(&self, method: &str, path: &RequestPath, rule: &Rule) -> bool {
        match self {
            Self::All => true,
            Self::Service(service) => rule.path.service() == Some(service),
            Self::Tag(tag) => rule.tags.iter().any(|t| t == tag),
            Self::Route(id) => rule.id == *id,
            Self::Path { methods, pattern } => {
                (methods.is_empty() || methods.iter().any(|m| m.as_str() == method)) && pattern.covers(path)
            }
        }
    }

    /// Whether `other` may be given if `self` is a team's scope cap. `Tag` and `Service` depend on routes, which may
    /// change, so they contain only themselves; a service also contains the paths of its own name. Whether the route of
    /// such a path belongs to that service is decided for each call: see [`cap_to_check`].
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Service(service), Self::Path { pattern, .. }) => {
                pattern.text().split('/').nth(2) == Some(service) && pattern.is_inside_service()
            }
            _ => self.surely_contains(other),
        }
    }

    /// Whether this scope contains `other` for any set of routes: a path belongs to a service only if its route does, and
    /// a route may be shorter than the path.
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
    /// No call of the route.
    Nothing,
    /// Some methods or some paths.
    Part,
    /// Every call of the route.
    Whole,
}

impl Scope {
    /// Returns how much of a route this scope opens, for people who choose scopes.
    pub fn reach(&self, rule: &Rule) -> Reach {
        let whole_if = |matches: bool| if matches { Reach::Whole } else { Reach::Nothing };
        match self {
            Self::All => Reach::Whole,
            Self::Service(service) => whole_if(rule.path.service() == Some(service)),
            Self::Tag(tag) => whole_if(rule.tags.iter().any(|t| t == tag)),
            Self::Route(id) => whole_if(rule.id == *id),
            Self::Path { methods, pattern } => {
                if !methods.is_empty() && !methods.iter().any(|method| rule.allows(method.as_str())) {
                    return Reach::Nothing;
                }
                let takes_each = methods.is_empty()
                    || (!rule.methods.is_empty() && rule.methods.iter().all(|m| methods.contains(m)));
                match (pattern.reach(rule.path.as_str()), takes_each) {
                    (Reach::Whole, false) => Reach::Part,
                    (reach, _) => reach,
                }
            }
        }
    }
}

/// Whether `scope` may be given under a team's `cap`; `None` is no cap, and an empty one admits nothing.
pub fn is_within_cap(scope: &Scope, cap: Option<&[Scope]>) -> bool {
    cap.is_none_or(|cap| cap.iter().any(|bound| bound.contains(scope)))
}

/// Narrows `scopes` to a team's `cap`; `None` is no cap. A scope that lies inside the cap
/// stays, a wider one shrinks to the parts of the cap that lie inside it, any other goes.
pub fn within_cap(scopes: &[Scope], cap: Option<&[Scope]>) -> Vec<Scope> {
    let Some(cap) = cap else { return scopes.to_vec() };
    let mut inside: Vec<Scope> = Vec::new();
    for scope in scopes {
        let parts: Vec<&Scope> = if is_within_cap(scope, Some(cap)) {
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

/// Returns the bounds that each call is checked against besides `inside`, which is `scopes` [`within_cap`]. `None` if
/// `inside` is within scopes and cap for any set of routes.
///
/// Only a path that was taken to be in a service may not be, since its route may be shorter. Such a path is bounded by
/// that service, and any other scope by itself.
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

/// Whether a text has the form of a service or tag: 1 to 64 letters, digits, `-`, `_`, `.`.
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
mod tests;
