//! Rules: the part of a route that decides which calls it takes.

use crate::access::path::RoutePath;
use crate::id::RouteId;
use crate::method::Method;

/// Everything that a decision reads of a route. It says nothing of the upstream, which not everybody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The route's id, which `route:` scopes name.
    pub id: RouteId,
    /// The path under which the route takes calls.
    pub path: RoutePath,
    /// Labels that `tag:` scopes name.
    pub tags: Vec<String>,
    /// Methods that pass; empty means all.
    pub methods: Vec<Method>,
}

impl Rule {
    /// Returns the methods that pass, as `Allow` lists them; empty if all do.
    pub fn methods_listed(&self) -> String {
        self.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Whether `method`, in upper case, passes.
    pub fn allows(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|m| m.as_str() == method)
    }
}

impl AsRef<Self> for Rule {
    fn as_ref(&self) -> &Self {
        self
    }
}
