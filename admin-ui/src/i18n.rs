//! The texts of the UI in both languages. Keys are literals in the code, so that a test can compare them
//! with the catalogues in `i18n/`.

use crate::state::preferences::{Language, use_preferences};
use std::collections::BTreeMap;
use std::rc::Rc;
use yew::AttrValue;
use yew::prelude::*;

type Catalogue = BTreeMap<String, Rc<str>>;

const ENGLISH: &str = include_str!("../i18n/en.json");
const TRADITIONAL_CHINESE: &str = include_str!("../i18n/zh-Hant.json");
/// Messages of `domain` about fields, by their English words.
const MESSAGES: &str = include_str!("../i18n/messages.zh-Hant.json");

thread_local! {
    static CATALOGUES: [Rc<Catalogue>; 3] = [ENGLISH, TRADITIONAL_CHINESE, MESSAGES].map(parse);
}

fn parse(json: &str) -> Rc<Catalogue> {
    // A test proves that both can be read.
    Rc::new(serde_json::from_str(json).unwrap_or_default())
}

/// The words of the language in use.
#[derive(Clone, Debug, PartialEq)]
pub struct I18n {
    pub language: Language,
    catalogue: Rc<Catalogue>,
}

impl I18n {
    pub fn new(language: Language) -> Self {
        let catalogue = CATALOGUES.with(|[english, chinese, _]| match language {
            Language::English => Rc::clone(english),
            Language::TraditionalChinese => Rc::clone(chinese),
        });
        Self { language, catalogue }
    }

    /// A text without placeholders.
    pub fn t(&self, key: &'static str) -> AttrValue {
        self.catalogue.get(key).map_or(AttrValue::Static(key), |text| AttrValue::Rc(Rc::clone(text)))
    }

    /// A text with its `{name}`s replaced.
    pub fn fill(&self, key: &'static str, values: &[(&str, &str)]) -> AttrValue {
        let text = self.t(key).to_string();
        AttrValue::from(
            values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)),
        )
    }

    /// A message of `domain` or the API. One that is not known is shown as it came.
    pub fn message(&self, english: &str) -> AttrValue {
        let translated = match self.language {
            Language::English => None,
            Language::TraditionalChinese => CATALOGUES.with(|[_, _, messages]| translate(messages, english)),
        };
        translated.map_or_else(|| AttrValue::from(english.to_owned()), AttrValue::Rc)
    }
}

/// Finds a message by its own words, else by those around each `{}`. The text in place of a `{}` is itself a
/// message, or a name that stays as it is.
fn translate(messages: &Catalogue, english: &str) -> Option<Rc<str>> {
    messages.get(english).cloned().or_else(|| {
        messages.iter().filter(|(pattern, _)| pattern.contains("{}")).find_map(|(pattern, translation)| {
            let parts = parts_between(pattern, english)?;
            let fill = |text: String, part: &&str| {
                text.replacen("{}", &translate(messages, part).unwrap_or_else(|| Rc::from(*part)), 1)
            };
            Some(parts.iter().fold(translation.to_string(), fill).into())
        })
    })
}

/// Returns the parts of `text` in place of each `{}` of `pattern`.
fn parts_between<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut fixed = pattern.split("{}");
    let mut rest = text.strip_prefix(fixed.next()?)?;
    let mut parts = vec![];
    let mut fixed = fixed.peekable();
    while let Some(words) = fixed.next() {
        // The last words are the text's end; others are looked for from the left.
        let at = if fixed.peek().is_none() { rest.strip_suffix(words)?.len() } else { rest.find(words)? };
        let (part, after) = rest.split_at(at);
        parts.push(part);
        rest = after.strip_prefix(words)?;
    }
    Some(parts)
}

#[hook]
pub fn use_i18n() -> I18n {
    I18n::new(use_preferences().language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn catalogue(json: &str) -> Catalogue {
        serde_json::from_str(json).unwrap()
    }

    /// All Rust code of this crate, as one text.
    fn sources(folder: &Path) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text += &sources(&path);
            } else {
                text += &std::fs::read_to_string(path).unwrap();
            }
        }
        text
    }

    /// A file without its tests.
    fn program(path: &Path) -> String {
        let text = std::fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    }

    /// The string literals that follow `opening`.
    fn literals<'a>(code: &'a str, opening: &str) -> Vec<&'a str> {
        code.split(opening).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    /// A form shows these beside its fields, and the tester beside its steps.
    #[test]
    fn every_message_of_the_domain_is_translated() {
        let messages = catalogue(MESSAGES);
        let domain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src");
        let contract = "../../contract/src";
        let mut found = 0;
        for name in
            ["access/scope", "access/path", "upstream/address", "upstream", "method", "credential", "access"]
        {
            let code = program(&domain.join(format!("{name}.rs")));
            for message in literals(&code, "#[error(\"").into_iter().chain(literals(&code, "reason: \"")) {
                // `#[error("{reason}")]` repeats one of the others.
                assert!(message.starts_with('{') || messages.contains_key(message), "{name}: {message}");
                found += 1;
            }
        }
        let fields = ["tokens", "routes", "teams", "people"].map(|name| format!("{contract}/{name}"));
        let fields = fields.into_iter().chain(std::iter::once("upstream/settings".to_owned()));
        let calls = fields
            .map(|name| (name, "FieldError::new("))
            .chain(["credential", "credential/oauth"].map(|name| (name.to_owned(), "invalid(")));
        for (name, call) in calls {
            let code = program(&domain.join(format!("{name}.rs")));
            for part in code.split(call).skip(1) {
                let is_message =
                    |text: &&str| ["must ", "is not ", "would "].iter().any(|start| text.starts_with(start));
                let Some(message) = literals(part, "\"").into_iter().find(is_message) else { continue };
                assert!(messages.contains_key(message), "{name}: {message}");
                found += 1;
            }
        }
        assert!(found > 50, "only {found} messages were found");
    }

    #[test]
    fn no_text_is_written_into_a_component() {
        // Names on the wire, and examples of what is typed in.
        const LANGUAGELESS: [&str; 5] = ["X-API-Key", "GET,POST", "/api/openai/*", "https://", "GET"];
        let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let has_words = |text: &str| text.chars().any(char::is_alphabetic) && !text.starts_with("\\u");
        let attributes =
            ["placeholder=\"", " label=\"", " title=\"", "aria-label=\"", "alt=\"", "summary=\""];
        let mut texts: Vec<&str> = attributes.iter().flat_map(|opening| literals(&code, opening)).collect();
        // In an element, a brace follows a tag or another brace; elsewhere it follows a word.
        for (at, _) in code.match_indices("{ \"") {
            if code[..at].trim_end().ends_with(['>', '}']) {
                texts.extend(code[at + 3..].split('"').next());
            }
        }
        for text in texts {
            assert!(!has_words(text) || LANGUAGELESS.contains(&text), "{text}");
        }
    }

    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<_> = text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn both_languages_have_the_same_keys_and_placeholders_and_no_empty_text() {
        let (english, chinese) = (catalogue(ENGLISH), catalogue(TRADITIONAL_CHINESE));
        assert_eq!(english.keys().collect::<Vec<_>>(), chinese.keys().collect::<Vec<_>>());
        for (key, text) in &english {
            let translation = &chinese[key];
            assert!(!text.trim().is_empty() && !translation.trim().is_empty(), "{key} is empty");
            assert_eq!(placeholders(text), placeholders(translation), "{key}");
        }
    }

    #[test]
    fn every_key_in_the_code_is_in_the_catalogue_and_the_other_way_round() {
        let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        // The formatter may put a key on a line of its own; no key has a space.
        let code: String = code.split_whitespace().collect();
        let english = catalogue(ENGLISH);
        for opening in [".t(\"", ".fill(\"", "count(&i18n,\""] {
            for key in literals(&code, opening) {
                assert!(english.contains_key(key), "{key} is used and not translated");
            }
        }
        for key in english.keys() {
            assert!(code.contains(&format!("\"{key}\"")), "{key} is translated and not used");
        }
    }

    #[test]
    fn a_message_with_names_in_it_is_translated_around_them() {
        let chinese = I18n::new(Language::TraditionalChinese);
        assert_eq!(chinese.message("2 pending for 10 s").as_str(), "2 筆待發布，最久 10 秒");
        assert_eq!(
            chinese.message("scope \"a b\" left out: must have at most 64 characters").as_str(),
            "略過範圍 \"a b\"：最多 64 個字元"
        );
        assert_eq!(chinese.message("something new").as_str(), "something new");
        assert_eq!(I18n::new(Language::English).message("2 pending for 10 s").as_str(), "2 pending for 10 s");
    }

    /// The table of calls shows every outcome.
    #[test]
    fn every_outcome_is_translated() {
        let messages = catalogue(MESSAGES);
        for outcome in domain::usage::outcome::Outcome::ALL.iter().filter(|outcome| outcome.as_str() != "ok")
        {
            assert!(messages.contains_key(outcome.as_str()), "{}", outcome.as_str());
        }
    }

    #[test]
    fn placeholders_are_filled() {
        let text = I18n::new(Language::English).fill("error.timed-out-advice", &[("seconds", "10")]);
        assert!(text.contains("within 10 seconds"), "{text}");
    }
}
