//! `?dry_run=true`: a change is checked as ever, tried on recorded calls, and not made.

pub use domain::dry_run::report::{RefusedStep, Report as DryRun, Untold, Workflow};

/// The parameter of the query; `true` or `false`.
pub const PARAMETER: &str = "dry_run";
/// An `If-Match` that admits every version to a dry run, and none to a change: with it an API that knows no dry runs
/// responds 412 instead of making the change.
pub const IF_MATCH: &str = "\"dry-run\"";
