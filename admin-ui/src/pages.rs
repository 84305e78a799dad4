//! The pages. They fetch data; components draw it.

mod audit;
mod calls;
mod health;
mod import;
mod keys;
mod not_found;
mod people;
pub mod routes;
mod sign_in;
mod teams;
mod tokens;
mod usage;
mod waiting;

pub use audit::{AuditPage, AuditVerifyPage};
pub use calls::CallsPage;
pub use health::HealthPage;
pub use import::ImportPage;
pub use keys::KeysPage;
pub use not_found::NotFoundPage;
pub use people::UsersPage;
pub use routes::{RoutePage, RoutesPage};
pub use sign_in::SignInPage;
pub use teams::{TeamPage, TeamsPage};
pub use tokens::{TokenPage, TokensPage};
pub use usage::{
    DashboardPage, RouteUsageListPage, RouteUsagePage, StatsPage, TokenUsageListPage, TokenUsagePage,
    UsageAnalyticsPage,
};
pub use waiting::WaitingPage;
