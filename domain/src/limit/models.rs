//! The models that a token's AI calls may name.

use crate::ai::AiAsk;
use crate::error::{FieldError, GatewayError};
use crate::problem::Invalid;

/// The most patterns of a list.
const MAX_MODELS: usize = 100;
/// The most characters of a pattern.
const MAX_LEN: usize = 100;

/// Reports each pattern that no model's name could match, as `field.<index>`.
pub(super) fn check(patterns: &[String], field: &str, errors: &mut Vec<FieldError>) {
    if patterns.len() > MAX_MODELS {
        errors.push(FieldError::new(field, Invalid::TooManyModels { most: MAX_MODELS }));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let is_name = pattern.bytes().all(|byte| byte.is_ascii_graphic());
        if pattern.is_empty() || pattern.len() > MAX_LEN || !is_name {
            errors.push(FieldError::new(format!("{field}.{index}"), Invalid::VisibleAscii { most: MAX_LEN }));
        }
    }
}

/// Refuses a call that names a model beyond the list, or none that can be read: a vendor would choose one.
///
/// # Errors
/// [`GatewayError::ModelNotAllowed`].
pub fn check_models(patterns: &[String], ask: Option<&AiAsk>) -> Result<(), GatewayError> {
    if patterns.is_empty() {
        return Ok(());
    }
    let is_allowed = |model: &str| patterns.iter().any(|pattern| matches(pattern, model));
    let names = |ask: &AiAsk| {
        let model = ask.model.as_deref()?;
        (is_allowed(model) && ask.fallbacks.iter().all(|model| is_allowed(model))).then_some(())
    };
    ask.and_then(names).ok_or(GatewayError::ModelNotAllowed)
}

/// Whether `after` allows a model that `before` does not. A pattern lies within another if that matches its text: only
/// `*` matches `*`.
pub(super) fn are_widened(before: &[String], after: &[String]) -> bool {
    let is_within = |pattern: &String| before.iter().any(|wider| matches(wider, pattern));
    !before.is_empty() && (after.is_empty() || !after.iter().all(is_within))
}

/// Whether a name matches a pattern in which `*` stands for any characters, also none.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut rest = rest;
    // The earliest place leaves the most for what follows; the last piece must end the name.
    while let Some((piece, more)) = rest.split_once('*') {
        let Some((_, after)) = name.split_once(piece) else { return false };
        (name, rest) = (after, more);
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
    }

    fn ask(model: Option<&str>, fallbacks: &[&str]) -> AiAsk {
        AiAsk {
            model: model.map(|model| model.to_owned().into()),
            fallbacks: list(fallbacks),
            ..AiAsk::default()
        }
    }

    #[test]
    fn a_call_is_allowed_if_each_model_that_it_names_is() {
        let models = list(&["gpt-4o*", "claude-*-haiku", "o3"]);
        let allowed =
            |model, fallbacks: &[&str]| check_models(&models, Some(&ask(Some(model), fallbacks))).is_ok();
        for model in ["gpt-4o", "gpt-4o-mini", "claude-3-haiku", "claude--haiku", "o3"] {
            assert!(allowed(model, &[]), "{model}");
        }
        for model in ["", "gpt-4", "GPT-4o", "claude-haiku", "claude-3-haiku-x", "o3-mini", "xgpt-4o", "*"] {
            assert!(!allowed(model, &[]), "{model}");
        }
        assert!(allowed("o3", &["gpt-4o"]) && !allowed("o3", &["gpt-4o", "o1"]));
    }

    #[test]
    fn a_call_that_names_no_model_is_refused_only_if_models_are_listed() {
        let refused = Err(GatewayError::ModelNotAllowed);
        assert_eq!(check_models(&list(&["*"]), Some(&ask(None, &[]))), refused);
        assert_eq!(check_models(&list(&["*"]), None), refused);
        assert_eq!(check_models(&[], None), Ok(()));
    }

    #[test]
    fn a_list_is_widened_by_what_it_did_not_allow() {
        let widened = |before: &[&str], after: &[&str]| are_widened(&list(before), &list(after));
        assert!(!widened(&[], &["a"]) && !widened(&[], &[]));
        assert!(widened(&["a"], &[]) && widened(&["a"], &["a", "b"]) && widened(&["a*"], &["*"]));
        assert!(!widened(&["a*"], &["a", "ab*", "a*b*"]) && widened(&["a*b"], &["a*"]));
    }

    proptest! {
        #[test]
        fn patterns_match_as_by_brute_force(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            fn brute(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|at| brute(rest, &name[at..])),
                    Some((first, rest)) => name.first() == Some(first) && brute(rest, &name[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &name), brute(pattern.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn a_list_that_is_not_widened_allows_nothing_new(
            before in proptest::collection::vec("[ab*]{1,4}", 1..4),
            after in proptest::collection::vec("[ab*]{1,4}", 1..4),
            name in "[ab]{0,6}",
        ) {
            let allows = |list: &[String]| list.iter().any(|pattern| matches(pattern, &name));
            prop_assert!(are_widened(&before, &after) || !allows(&after) || allows(&before));
        }
    }
}
