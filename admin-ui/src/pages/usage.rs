//! Figures of calls.

mod explorer;
pub mod figures;

pub use explorer::{By, ExplorerPage, UsageFilter};

/// How often an open report is read again, in ms.
const REFRESH_MS: u32 = 30_000;
