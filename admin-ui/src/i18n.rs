//! Every word that is shown, in both languages. Keys are literals in the code, so that a test can
//! compare them with the catalogues in `i18n/`.

use crate::state::preferences::{Language, use_preferences};
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
#[derive(Clone, Debug)]
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
        let text = self.t(key).to_string();
        AttrValue::from(
            values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)),
        )
    }
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
        let english = catalogue(ENGLISH);
        for opening in [".t(\"", ".fill(\""] {
            for rest in code.split(opening).skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(english.contains_key(key), "{key} is used and not translated");
            }
        }
        for key in english.keys() {
            assert!(code.contains(&format!("\"{key}\"")), "{key} is translated and not used");
        }
    }

    #[test]
    fn placeholders_are_filled() {
        let text = I18n::new(Language::English).fill("error.timed-out-advice", &[("seconds", "10")]);
        assert!(text.contains("within 10 seconds"), "{text}");
    }
}
