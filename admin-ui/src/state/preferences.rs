//! Theme, language and sidebar: remembered in local storage, applied to the document. `boot.js` applies the
//! same before the first paint.

use std::rc::Rc;
use web_sys::MediaQueryList;
use yew::prelude::*;

const THEME: &str = "theme";
const LANGUAGE: &str = "language";
const SIDEBAR: &str = "sidebar";
const CLOSED: &str = "closed";
const OPEN: &str = "open";
/// The class by which the component library turns dark.
const DARK_CLASS: &str = "pf-v6-theme-dark";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
    System,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::System];

    const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::System => "system",
        }
    }

    fn from_name(name: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|theme| Some(theme.name()) == name).unwrap_or(Self::System)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    TraditionalChinese,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::TraditionalChinese, Self::English];

    /// The BCP 47 tag, under which the choice is remembered too.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::TraditionalChinese => "zh-Hant",
        }
    }

    /// Returns the remembered language, else the one that the browser prefers.
    fn choose(remembered: Option<&str>, preferred: Option<&str>) -> Self {
        let remembered = Self::ALL.into_iter().find(|language| Some(language.tag()) == remembered);
        remembered.unwrap_or(match preferred {
            Some(tag) if tag.starts_with("zh") => Self::TraditionalChinese,
            _ => Self::English,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub theme: Theme,
    pub language: Language,
    pub is_sidebar_open: bool,
}

impl Preferences {
    const DEFAULT: Self = Self { theme: Theme::System, language: Language::English, is_sidebar_open: true };

    fn load() -> Self {
        let preferred = gloo::utils::window().navigator().language();
        Self {
            theme: Theme::from_name(recall(THEME).as_deref()),
            language: Language::choose(recall(LANGUAGE).as_deref(), preferred.as_deref()),
            // On a narrow screen it would cover the page, so it is closed until somebody opens it.
            is_sidebar_open: recall(SIDEBAR).map_or_else(is_wide, |sidebar| sidebar != CLOSED && is_wide()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetPreference {
    Theme(Theme),
    Language(Language),
    Sidebar(bool),
}

impl Reducible for Preferences {
    type Action = SetPreference;

    fn reduce(self: Rc<Self>, action: SetPreference) -> Rc<Self> {
        Rc::new(match action {
            SetPreference::Theme(theme) => Self { theme, ..*self },
            SetPreference::Language(language) => Self { language, ..*self },
            SetPreference::Sidebar(is_sidebar_open) => Self { is_sidebar_open, ..*self },
        })
    }
}

/// Returns local storage, if the browser allows it.
fn storage() -> Option<web_sys::Storage> {
    gloo::utils::window().local_storage().ok().flatten()
}

/// Reads a text that was remembered in this browser.
pub fn recall(name: &str) -> Option<String> {
    storage()?.get_item(name).ok().flatten()
}

/// Remembers a text in this browser.
pub fn remember(name: &str, value: &str) {
    // Refused when storage is full or forbidden: the choice then lasts as long as the page.
    let _ = storage().map(|storage| storage.set_item(name, value));
}

/// Whether the sidebar lies beside the page rather than over it.
fn is_wide() -> bool {
    let query = gloo::utils::window().match_media("(min-width: 1200px)").ok().flatten();
    query.is_some_and(|query| query.matches())
}

fn system_is_dark() -> Option<MediaQueryList> {
    gloo::utils::window().match_media("(prefers-color-scheme: dark)").ok().flatten()
}

fn apply_theme(theme: Theme) {
    let is_dark = match theme {
        Theme::Light => false,
        Theme::Dark => true,
        Theme::System => system_is_dark().is_some_and(|query| query.matches()),
    };
    // Cannot fail: the class is a constant without spaces.
    let _ = gloo::utils::document_element().class_list().toggle_with_force(DARK_CLASS, is_dark);
}

pub type PreferencesHandle = UseReducerHandle<Preferences>;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PreferencesProviderProps {
    pub children: Html,
}

#[component]
pub fn PreferencesProvider(props: &PreferencesProviderProps) -> Html {
    let preferences = use_reducer_eq(Preferences::load);

    use_effect_with(preferences.language, |language| {
        let _ = gloo::utils::document_element().set_attribute("lang", language.tag());
    });
    use_effect_with(preferences.theme, |&theme| {
        apply_theme(theme);
        // The system may turn dark in the evening while the page is open.
        let listener = system_is_dark()
            .map(|query| gloo::events::EventListener::new(&query, "change", move |_| apply_theme(theme)));
        move || drop(listener)
    });

    html! {
        <ContextProvider<PreferencesHandle> context={preferences}>
            { props.children.clone() }
        </ContextProvider<PreferencesHandle>>
    }
}

#[hook]
pub fn use_preferences() -> Preferences {
    use_context::<PreferencesHandle>().map_or(Preferences::DEFAULT, |handle| *handle)
}

/// Changes a preference and remembers it.
#[hook]
pub fn use_set_preference() -> Callback<SetPreference> {
    let handle = use_context::<PreferencesHandle>();
    Callback::from(move |action| {
        match action {
            SetPreference::Theme(theme) => remember(THEME, theme.name()),
            SetPreference::Language(language) => remember(LANGUAGE, language.tag()),
            // On a narrow screen it opens and closes all the time, which is not a preference.
            SetPreference::Sidebar(is_open) if is_wide() => {
                remember(SIDEBAR, if is_open { OPEN } else { CLOSED });
            }
            SetPreference::Sidebar(_) => {}
        }
        if let Some(handle) = &handle {
            handle.dispatch(action);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_theme_is_used_and_anything_else_follows_the_system() {
        for theme in Theme::ALL {
            assert_eq!(Theme::from_name(Some(theme.name())), theme);
        }
        assert_eq!(Theme::from_name(Some("sepia")), Theme::System);
        assert_eq!(Theme::from_name(None), Theme::System);
    }

    #[test]
    fn a_remembered_language_wins_over_the_browsers_own() {
        assert_eq!(Language::choose(Some("en"), Some("zh-TW")), Language::English);
        assert_eq!(Language::choose(None, Some("zh-TW")), Language::TraditionalChinese);
        assert_eq!(Language::choose(Some("fr"), None), Language::English);
    }
}
