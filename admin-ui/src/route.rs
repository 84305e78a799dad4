//! The addresses of the pages. People bookmark them, so they do not change.

use yew_router::prelude::*;

/// An address of this site.
#[derive(Clone, Debug, PartialEq, Eq, Routable)]
#[expect(clippy::enum_variant_names, reason = "pages about the gateway's routes are named after those")]
pub enum Route {
    #[at("/")]
    Home,
    #[at("/sign-in")]
    SignIn,
    #[at("/dashboard")]
    Dashboard,
    /// Figures of calls, split as one likes.
    #[at("/usage")]
    Usage,
    /// Single calls.
    #[at("/calls")]
    Calls,
    #[at("/models")]
    Prices,
    /// Leads to the first of its pages.
    #[at("/settings")]
    Settings,
    /// This and the five below are addresses of pages that [`Self::Usage`] replaced.
    #[at("/usage-analytics")]
    UsageAnalytics,
    #[at("/token-usage")]
    TokenUsageList,
    #[at("/token-usage/:id")]
    TokenUsage { id: String },
    #[at("/route-usage-list")]
    RouteUsageList,
    #[at("/route-usage")]
    RouteUsage,
    #[at("/stats")]
    Stats,
    #[at("/tokens")]
    Tokens,
    #[at("/tokens/:id")]
    Token { id: String },
    /// Admin API keys.
    #[at("/keys")]
    Keys,
    #[at("/routes")]
    Routes,
    #[at("/routes/:id")]
    RouteDetail { id: String },
    #[at("/teams")]
    Teams,
    #[at("/teams/:id")]
    Team { id: String },
    #[at("/users")]
    Users,
    #[at("/channels")]
    Channels,
    #[at("/audit-logs")]
    AuditLogs,
    #[at("/audit-logs/verify")]
    AuditVerify,
    #[at("/import")]
    Import,
    #[at("/system-health")]
    SystemHealth,
    #[not_found]
    #[at("/404")]
    NotFound,
}

impl Route {
    /// Whether the page can be seen without a session.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::SystemHealth | Self::AuditVerify | Self::SignIn | Self::NotFound)
    }

    /// Returns the page of the navigation that this one belongs to.
    pub fn section(&self) -> Self {
        match self {
            Self::Home => Self::Dashboard,
            Self::Token { .. } => Self::Tokens,
            Self::RouteDetail { .. } => Self::Routes,
            Self::Team { .. } => Self::Teams,
            Self::AuditVerify => Self::AuditLogs,
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links that people have bookmarked in the earlier system.
    #[test]
    fn every_link_of_the_earlier_system_leads_to_a_page() {
        for path in [
            "/",
            "/dashboard",
            "/usage",
            "/calls",
            "/models",
            "/settings",
            "/usage-analytics",
            "/token-usage",
            "/token-usage/tok_1",
            "/route-usage-list",
            "/route-usage",
            "/tokens",
            "/routes",
            "/stats",
            "/audit-logs",
            "/system-health",
            "/users",
            "/teams",
            "/sign-in",
        ] {
            let route = Route::recognize(path).unwrap();
            assert_ne!(route, Route::NotFound, "{path}");
            assert_eq!(route.to_path(), path);
        }
        assert_eq!(Route::recognize("/no-such-page"), Some(Route::NotFound));
    }
}
