use crate::components::{Choice, ChoiceOption};
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::preferences::{Language, SetPreference, Theme, use_preferences, use_set_preference};
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ShellProps {
    pub children: Html,
}

/// The frame of every page. The library's `Page` nests one `main` in another and has no skip link,
/// so its markup is written here.
#[component]
pub fn Shell(props: &ShellProps) -> Html {
    let i18n = use_i18n();
    html! {
        <div class="pf-v6-c-page">
            <div class="pf-v6-c-skip-to-content">
                <a class="pf-v6-c-button pf-m-primary" href="#content">{ i18n.t("app.skip-to-content") }</a>
            </div>
            <header class="pf-v6-c-masthead pf-m-display-inline-on-md">
                <div class="pf-v6-c-masthead__main">
                    <Link<Route> to={Route::Home} classes="tm-brand">
                        <i class="fas fa-key tm-brand__icon" aria-hidden="true" />
                        { i18n.t("app.name") }
                    </Link<Route>>
                </div>
                <div class="pf-v6-c-masthead__content">
                    <div class="tm-masthead-tools">
                        <ThemeChoice />
                        <LanguageChoice />
                    </div>
                </div>
            </header>
            <div class="pf-v6-c-page__main-container">
                <main id="content" class="pf-v6-c-page__main" tabindex="-1">{ props.children.clone() }</main>
            </div>
        </div>
    }
}

#[component]
fn ThemeChoice() -> Html {
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
fn LanguageChoice() -> Html {
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
