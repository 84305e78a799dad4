//! `?dry_run=true`: a change is checked as ever, tried on recorded calls, and not made.

pub use domain::dry_run::report::{RefusedStep, Report as DryRun, Untold, Workflow};

/// The parameter of the query; `true` or `false`.
pub const PARAMETER: &str = "dry_run";
