//! The lines of the palette: pages, things that were found, and actions.

use super::find::Found;
use crate::components::shell::sections::{Section, sections};
use crate::i18n::I18n;
use crate::route::Route;
use crate::state::preferences::{Language, SetPreference, Theme};
use crate::state::session::can;
use contract::people::Me;
use contract::tokens::TokenView;
use domain::people::role::{Action, Subject};
use std::rc::Rc;
use yew::AttrValue;

/// The effect of a choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Go(Route),
    /// Shows the call of a request id.
    Call(String),
    /// Opens a page with one of its dialogs.
    Act(Route, &'static str),
    Set(SetPreference),
    /// Shows the list of keys.
    Keys,
    /// Asks whether to revoke a token at once.
    Stop(Rc<TokenView>),
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub icon: &'static str,
    pub text: AttrValue,
    pub more: AttrValue,
    pub deed: Deed,
}

impl Item {
    pub fn new(icon: &'static str, text: AttrValue, deed: Deed) -> Self {
        Self { icon, text, more: AttrValue::default(), deed }
    }

    fn with(self, more: &str) -> Self {
        Self { more: AttrValue::from(more.to_owned()), ..self }
    }
}

/// Lines under a title.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub title: AttrValue,
    pub items: Vec<Item>,
}

/// The dialogs of a token, with the verbs that open them.
fn verbs(i18n: &I18n) -> [(&'static str, AttrValue); 4] {
    [
        ("revoke", i18n.t("tokens.revoke")),
        ("rotate", i18n.t("tokens.rotate")),
        ("extend", i18n.t("tokens.extend")),
        ("edit", i18n.t("tokens.edit")),
    ]
}

/// Splits a text such as "revoke daily" into the dialog and the rest; the reader's verbs count, and the English ones.
pub fn verb_of<'a>(i18n: &I18n, text: &'a str) -> Option<(&'static str, &'a str)> {
    let (word, rest) = text.trim().split_once(' ')?;
    let word = word.to_lowercase();
    let (act, _) = verbs(i18n).into_iter().find(|(act, name)| word == *act || word == name.to_lowercase())?;
    Some((act, rest.trim()))
}

/// Returns the lines that fit a text, the likeliest first.
pub fn groups(i18n: &I18n, me: &Me, text: &str, found: &Found) -> Vec<Group> {
    let verb = verb_of(i18n, text);
    let wanted = text.trim().to_lowercase();
    let fits = |item: &Item| wanted.is_empty() || item.text.to_lowercase().contains(&wanted);
    let mut pages = pages(i18n, me);
    pages.retain(fits);
    let mut actions = actions(i18n, me);
    actions.retain(fits);
    if let Some(id) = wanted.strip_prefix("req_").filter(|rest| !rest.is_empty()) {
        let call = i18n.fill("palette.call", &[("id", &format!("req_{id}"))]);
        actions.push(Item::new("fas fa-search", call, Deed::Call(format!("req_{id}"))));
    }
    let groups = match verb {
        Some((act, _)) => vec![Group { title: i18n.t("palette.actions"), items: acts(i18n, me, act, found) }],
        None => vec![
            Group { title: i18n.t("tokens.title"), items: tokens(found) },
            Group { title: i18n.t("routes.title"), items: routes(found) },
            Group { title: i18n.t("teams.title"), items: teams(found, &wanted) },
            Group { title: i18n.t("users.title"), items: people(found) },
            Group { title: i18n.t("palette.pages"), items: pages },
            Group { title: i18n.t("palette.actions"), items: actions },
        ],
    };
    groups.into_iter().filter(|group| !group.items.is_empty()).collect()
}

fn acts(i18n: &I18n, me: &Me, act: &'static str, found: &Found) -> Vec<Item> {
    let may = |token: &&TokenView| crate::components::may_stop(me, token);
    let name = verbs(i18n).into_iter().find(|(other, _)| *other == act).map(|(_, name)| name);
    let item = |token: &TokenView| {
        let text = format!("{} “{}”", name.clone().unwrap_or_default(), token.name);
        let deed = Deed::Act(Route::Token { id: token.id.to_string() }, act);
        Item::new("fas fa-key", text.into(), deed).with(&found.team(&token.team_id))
    };
    found.tokens.iter().filter(may).map(item).collect()
}

fn tokens(found: &Found) -> Vec<Item> {
    let item = |token: &TokenView| {
        let hint = token.hint.as_ref().map(|hint| format!("{}…{}", hint.start, hint.end)).unwrap_or_default();
        let deed = Deed::Go(Route::Token { id: token.id.to_string() });
        Item::new("fas fa-key", token.name.clone().into(), deed)
            .with(&format!("{} · {hint}", found.team(&token.team_id)))
    };
    found.tokens.iter().map(item).collect()
}

fn routes(found: &Found) -> Vec<Item> {
    let items = found.routes.iter().map(|route| {
        let deed = Deed::Go(Route::RouteDetail { id: route.id.to_string() });
        Item::new("fas fa-route", route.name.clone().into(), deed).with(route.path.as_str())
    });
    items.collect()
}

fn teams(found: &Found, wanted: &str) -> Vec<Item> {
    let fits =
        found.teams.iter().filter(|team| !wanted.is_empty() && team.name.to_lowercase().contains(wanted));
    let items = fits.map(|team| {
        Item::new("fas fa-users", team.name.clone().into(), Deed::Go(Route::Team { id: team.id.to_string() }))
    });
    items.collect()
}

fn people(found: &Found) -> Vec<Item> {
    let items = found.people.iter().map(|person| {
        let name =
            person.name.clone().or_else(|| person.email.clone()).unwrap_or_else(|| person.id.to_string());
        Item::new("fas fa-user", name.into(), Deed::Go(Route::Users))
            .with(person.email.as_deref().unwrap_or_default())
    });
    items.collect()
}

fn pages(i18n: &I18n, me: &Me) -> Vec<Item> {
    let pages = |section: Section| {
        let icon = section.icon;
        section.pages.into_iter().map(move |(route, name)| Item::new(icon, name, Deed::Go(route)))
    };
    sections(i18n, me).into_iter().flat_map(pages).collect()
}

fn actions(i18n: &I18n, me: &Me) -> Vec<Item> {
    let mut items = vec![];
    if me.caller().teams_for(Action::CreateToken).is_none_or(|teams| !teams.is_empty()) {
        items.push(Item::new("fas fa-plus", i18n.t("tokens.create"), Deed::Act(Route::Tokens, "create")));
    }
    if can(me, Action::WriteRoute, Subject::default()) {
        items.push(Item::new("fas fa-plus", i18n.t("routes.create"), Deed::Act(Route::Routes, "create")));
    }
    let set = |icon, text, preference| Item::new(icon, text, Deed::Set(preference));
    items.extend([
        // Each in its own language, for those who read no other.
        set(
            "fas fa-language",
            "切換為中文 · Chinese".into(),
            SetPreference::Language(Language::TraditionalChinese),
        ),
        set("fas fa-language", "Switch to English".into(), SetPreference::Language(Language::English)),
        set("fas fa-moon", i18n.t("palette.dark"), SetPreference::Theme(Theme::Dark)),
        set("fas fa-sun", i18n.t("palette.light"), SetPreference::Theme(Theme::Light)),
        Item::new("fas fa-keyboard", i18n.t("shortcuts.title"), Deed::Keys),
    ]);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_in_front_of_a_name_opens_its_dialog() {
        let of = |language, text| verb_of(&I18n::new(language), text);
        assert_eq!(of(Language::English, "Revoke  daily digest "), Some(("revoke", "daily digest")));
        assert_eq!(of(Language::TraditionalChinese, "撤銷 每日摘要"), Some(("revoke", "每日摘要")));
        assert_eq!(of(Language::TraditionalChinese, "rotate x"), Some(("rotate", "x")));
        assert_eq!(of(Language::English, "revoke"), None);
        assert_eq!(of(Language::English, "daily digest"), None);
    }
}
