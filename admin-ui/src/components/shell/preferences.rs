//! The choices of theme and language.

use crate::components::{Choice, ChoiceOption};
use crate::i18n::use_i18n;
use crate::state::preferences::{Language, SetPreference, Theme, use_preferences, use_set_preference};
use yew::prelude::*;

#[component]
pub fn ThemeChoice() -> Html {
    let i18n = use_i18n();
    let selected = use_preferences().theme;
    let on_choose = use_set_preference().reform(SetPreference::Theme);
    let options = Theme::ALL.map(|value| {
        let (text, icon) = match value {
            Theme::Light => (i18n.t("theme.light"), "fas fa-sun"),
            Theme::Dark => (i18n.t("theme.dark"), "fas fa-moon"),
            Theme::System => (i18n.t("theme.system"), "fas fa-desktop"),
        };
        ChoiceOption { value, text, icon: Some(icon), lang: None }
    });
    html! {
        <Choice<Theme>
            label={i18n.t("theme.label")}
            options={options.to_vec()}
            {selected}
            {on_choose}
        />
    }
}

#[component]
pub fn LanguageChoice() -> Html {
    let i18n = use_i18n();
    let on_choose = use_set_preference().reform(SetPreference::Language);
    let options = Language::ALL.map(|value| {
        let text = match value {
            Language::English => i18n.t("language.english"),
            Language::TraditionalChinese => i18n.t("language.traditional-chinese"),
        };
        ChoiceOption { value, text, icon: None, lang: Some(value.tag()) }
    });
    html! {
        <Choice<Language>
            label={i18n.t("language.label")}
            options={options.to_vec()}
            selected={i18n.language}
            {on_choose}
        />
    }
}
