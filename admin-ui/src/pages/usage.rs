//! What was called, how often, how fast: reports, lists, details and the start page.

mod analytics;
mod calls;
mod dashboard;
mod detail;
mod figures;
mod lists;
mod stats;

pub use analytics::UsageAnalyticsPage;
pub use dashboard::DashboardPage;
pub use detail::{RouteUsagePage, TokenUsagePage};
pub use lists::{RouteUsageListPage, TokenUsageListPage};
pub use stats::StatsPage;

/// Reports that are left open are read again this often.
const REFRESH_MS: u32 = 30_000;
