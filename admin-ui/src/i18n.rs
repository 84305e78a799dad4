//! The texts of the UI in both languages. Keys are literals in the code, so that a test can compare them
//! with the catalogues in `i18n/`.

use crate::state::preferences::{Language, use_preferences};
use domain::problem::Problem;
use std::collections::BTreeMap;
use std::rc::Rc;
use yew::AttrValue;
use yew::prelude::*;

type Catalogue = BTreeMap<String, Rc<str>>;

const ENGLISH: &str = include_str!("../i18n/en.json");
const TRADITIONAL_CHINESE: &str = include_str!("../i18n/zh-Hant.json");

thread_local! {
    static CATALOGUES: [Rc<Catalogue>; 2] = [ENGLISH, TRADITIONAL_CHINESE].map(parse);
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
        let catalogue = CATALOGUES.with(|[english, chinese]| match language {
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
        filled(&self.t(key), values.iter().copied())
    }

    /// A problem by its code. A code without a text, as most have in English, is shown by its message.
    pub fn problem(&self, problem: &Problem) -> AttrValue {
        let Some(text) = self.problem_text(&problem.code) else {
            return AttrValue::from(problem.message.clone());
        };
        // A problem within the problem.
        let why = problem.values.get("why").and_then(|code| self.problem_text(code));
        let text = why.map_or_else(|| text.to_owned(), |why| text.replace("{why}", why));
        filled(&text, &problem.values)
    }

    fn problem_text(&self, code: &str) -> Option<&str> {
        self.catalogue.get(&format!("problem.{code}")).map(|text| &**text)
    }

    /// A change of the audit log as a sentence with `{who}` and `{what}`; `None` if the deed has none.
    pub fn deed(&self, code: &str) -> Option<AttrValue> {
        self.catalogue.get(&format!("did.{code}")).map(|text| AttrValue::Rc(Rc::clone(text)))
    }

    /// An outcome of a call by its code; a code that is not known is shown as it is.
    pub fn outcome(&self, code: &str) -> AttrValue {
        let text = self.catalogue.get(&format!("outcome.{code}"));
        text.map_or_else(|| AttrValue::from(code.to_owned()), |text| AttrValue::Rc(Rc::clone(text)))
    }
}

fn filled(text: &str, values: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>) -> AttrValue {
    let mut text = text.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{}}}", name.as_ref()), value.as_ref());
    }
    AttrValue::from(text)
}

#[hook]
pub fn use_i18n() -> I18n {
    I18n::new(use_preferences().language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::problem::{ALL, HealthNote, ImportNote, InvalidScope};
    use domain::usage::outcome::Outcome;
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

    /// The string literals that follow `opening`.
    fn literals<'a>(code: &'a str, opening: &str) -> Vec<&'a str> {
        code.split(opening).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn no_text_is_written_into_a_component() {
        // Names on the wire, and examples of what is typed in.
        const LANGUAGELESS: [&str; 6] = ["X-API-Key", "GET,POST", "/api/openai/*", "https://", "GET", "UTC"];
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
        let [english, chinese] = [ENGLISH, TRADITIONAL_CHINESE].map(|json| {
            let mut texts = catalogue(json);
            texts.retain(|key, _| !is_coded(key));
            texts
        });
        assert_same(&english, &chinese);
    }

    #[test]
    fn every_problem_and_outcome_is_translated_with_its_placeholders() {
        let [english, chinese] = [ENGLISH, TRADITIONAL_CHINESE].map(|json| {
            let mut texts = catalogue(json);
            texts.retain(|key, _| is_coded(key));
            texts
        });
        let problems = ALL.iter().map(|(code, text)| (format!("problem.{code}"), Rc::from(*text)));
        let outcomes = Outcome::ALL.iter().map(|outcome| outcome.as_str()).filter(|code| *code != "ok");
        let outcomes = outcomes.map(|code| (format!("outcome.{code}"), Rc::from(code)));
        let known: Catalogue = problems.chain(outcomes).collect();
        assert_same(&known, &chinese);
        // English has a text for every outcome, and for problems whose message was written for programs.
        for (key, text) in &english {
            let message = known.get(key).unwrap_or_else(|| panic!("{key} is no code"));
            assert!(placeholders(text).iter().all(|name| placeholders(message).contains(name)), "{key}");
        }
        for key in known.keys().filter(|key| key.starts_with("outcome.")) {
            assert!(english.contains_key(key), "{key}");
        }
    }

    /// Whether a text is found by a code. `domain` has an English message for each problem.
    fn is_coded(key: &str) -> bool {
        ["problem.", "outcome."].iter().any(|prefix| key.starts_with(prefix))
    }

    fn assert_same(english: &Catalogue, chinese: &Catalogue) {
        assert_eq!(english.keys().collect::<Vec<_>>(), chinese.keys().collect::<Vec<_>>());
        for (key, text) in english {
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
        for key in english.keys().filter(|key| !is_coded(key)) {
            if let Some(deed) = key.strip_prefix("did.") {
                assert!(contract::audit::Deed::parse(deed).is_some(), "{key} is no deed");
                continue;
            }
            assert!(code.contains(&format!("\"{key}\"")), "{key} is translated and not used");
        }
    }

    #[test]
    fn a_problem_is_shown_in_the_language_with_its_values() {
        let chinese = I18n::new(Language::TraditionalChinese);
        let pending = pending();
        assert_eq!(chinese.problem(&pending).as_str(), "2 筆待發布，最久 10 秒");
        let english = I18n::new(Language::English);
        assert_eq!(english.problem(&pending).as_str(), "2 pending for 10 s");
        let note = ImportNote::ScopeLeftOut { scope: "\"a b\"".to_owned(), why: InvalidScope::Length }.into();
        assert_eq!(chinese.problem(&note).as_str(), "略過權限範圍 \"a b\"：權限範圍必須為 1 到 300 個字元");
        assert_eq!(english.problem(&note).as_str(), "scope \"a b\" left out: a scope is 1 to 300 characters");
    }

    #[test]
    fn a_code_of_a_newer_api_is_shown_by_its_message() {
        let chinese = I18n::new(Language::TraditionalChinese);
        let unknown = Problem { code: "newer".to_owned(), message: "is new".to_owned(), ..pending() };
        assert_eq!(chinese.problem(&unknown).as_str(), "is new");
        assert_eq!(chinese.outcome("newer").as_str(), "newer");
    }

    fn pending() -> Problem {
        HealthNote::Pending { changes: 2, seconds: 10 }.into()
    }

    #[test]
    fn placeholders_are_filled() {
        let text = I18n::new(Language::English).fill("error.timed-out-advice", &[("seconds", "10")]);
        assert!(text.contains("within 10 seconds"), "{text}");
    }
}
