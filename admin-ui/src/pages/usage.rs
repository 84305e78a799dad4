//! Reports on calls: analytics, lists, details and the start page.

mod analytics;
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

/// How often an open report is read again, in ms.
const REFRESH_MS: u32 = 30_000;
