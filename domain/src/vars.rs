//! Configuration comes from named variables, parsed once. A trait, so that parsing is tested with
//! a map and does not depend on an environment.

use std::collections::HashMap;

/// A source of variables and secrets.
pub trait Vars {
    /// Returns the value of `name`; `None` if it is unset or empty.
    fn get(&self, name: &str) -> Option<String>;
}

impl<S: std::hash::BuildHasher> Vars for HashMap<String, String, S> {
    fn get(&self, name: &str) -> Option<String> {
        HashMap::get(self, name).filter(|v| !v.is_empty()).cloned()
    }
}

/// Why a variable cannot be used: the variable's name, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum VarError {
    #[error("{0} is not set")]
    Missing(&'static str),
    #[error("{name} is not {wanted}")]
    Invalid { name: &'static str, wanted: &'static str },
}

/// Returns a variable's value. An empty one counts as missing.
pub fn required(vars: &impl Vars, name: &'static str) -> Result<String, VarError> {
    vars.get(name).ok_or(VarError::Missing(name))
}

/// Returns a variable's value as an integer, or `default` if it is not set.
pub fn integer_or(vars: &impl Vars, name: &'static str, default: u32) -> Result<u32, VarError> {
    vars.get(name).map_or(Ok(default), |text| {
        text.trim().parse().map_err(|_| VarError::Invalid { name, wanted: "a whole number" })
    })
}

/// `true` or `false`; unset is `false`.
pub fn flag(vars: &impl Vars, name: &'static str) -> Result<bool, VarError> {
    match vars.get(name).as_deref().map(str::trim) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(VarError::Invalid { name, wanted: "true or false" }),
    }
}

/// A comma-separated list, blanks trimmed; unset is empty.
pub fn list(vars: &impl Vars, name: &'static str) -> Vec<String> {
    let text = vars.get(name).unwrap_or_default();
    text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn flags_are_true_or_false_and_nothing_else() {
        assert_eq!(flag(&vars(&[("F", "true")]), "F"), Ok(true));
        assert_eq!(flag(&vars(&[]), "F"), Ok(false));
        assert!(flag(&vars(&[("F", "yes")]), "F").is_err());
    }
}
