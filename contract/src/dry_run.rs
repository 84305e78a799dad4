//! `?dry_run=true`: a change is checked as ever, tried on recorded calls, and not made.

pub use domain::dry_run::report::{RefusedStep, Report as DryRun, Untold, Workflow};

use domain::problem::Invalid;

/// The parameter of the query; `true` or `false`.
pub const PARAMETER: &str = "dry_run";
/// An `If-Match` that admits every version to a dry run, and none to a change: with it an API that knows no dry runs
/// responds 412 instead of making the change.
pub const IF_MATCH: &str = "\"dry-run\"";

/// Returns whether the parameters of a query ask for a dry run; `may_be` tells whether the endpoint knows them.
///
/// # Errors
/// The problem of the parameter. A misspelled one is refused, too: without it the change would be made.
pub fn is_asked<N: AsRef<str>>(
    parameters: impl Iterator<Item = (N, N)>,
    may_be: bool,
) -> Result<bool, Invalid> {
    let is_meant = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        letters.eq("dryrun".chars())
    };
    let given: Vec<_> = parameters.filter(|(name, _)| is_meant(name.as_ref())).collect();
    match given.as_slice() {
        [] => Ok(false),
        _ if !may_be || given.iter().any(|(name, _)| name.as_ref() != PARAMETER) => {
            Err(Invalid::UnknownField)
        }
        [(_, value)] if value.as_ref() == "true" => Ok(true),
        [(_, value)] if value.as_ref() == "false" => Ok(false),
        [_] => Err(Invalid::Either { first: "true".to_owned(), second: "false".to_owned() }),
        _ => Err(Invalid::Twice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_only_if_nobody_asks_to_try_it() {
        let asked = |query: &'static str, may_be| {
            is_asked(query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))), may_be)
        };
        assert_eq!(asked("", true), Ok(false));
        assert_eq!(asked("a=1&dry_run=true", true), Ok(true));
        assert_eq!(asked("dry_run=false", true), Ok(false));
        assert_eq!(asked("dry_run=true&dry_run=false", true), Err(Invalid::Twice));
        for unclear in ["dry_run", "dry_run=1", "dry_run=True", "dry_run=true "] {
            assert!(matches!(asked(unclear, true), Err(Invalid::Either { .. })), "{unclear}");
        }
        for misspelled in ["dry-run=true", "dryRun=true", "DRY_RUN=true", "dry_run=true&dryrun=true"] {
            assert_eq!(asked(misspelled, true), Err(Invalid::UnknownField), "{misspelled}");
        }
        for query in ["dry_run=true", "dry_run=false"] {
            assert_eq!(asked(query, false), Err(Invalid::UnknownField), "{query}");
        }
    }
}
