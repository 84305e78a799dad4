//! The filters of a page under names that people give them. They stay in this browser, for each person apart.

use super::{Button, Menu, MenuItem, filled};
use crate::i18n::use_i18n;
use crate::route::Route;
use crate::state::preferences::{recall, remember};
use crate::state::session::use_me;
use patternfly_yew::prelude::{ButtonType, ButtonVariant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use web_sys::HtmlInputElement;
use yew::prelude::*;
use yew_router::prelude::*;

/// Parts of an address that belong to a moment.
const PASSING: [&str; 2] = ["open", "pages"];

type Query = BTreeMap<String, String>;

/// A page's filters and their name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct View {
    page: String,
    name: String,
    query: Query,
}

/// Adds a view in the place of one with the same name.
fn with(mut views: Vec<View>, view: View) -> Vec<View> {
    views.retain(|other| (&other.page, &other.name) != (&view.page, &view.name));
    views.push(view);
    views
}

/// A menu of the current page's views, with a field to save another.
#[component]
pub fn SavedViews() -> Html {
    let (i18n, me) = (use_i18n(), use_me());
    let (navigator, route, location) = (use_navigator(), use_route::<Route>(), use_location());
    let place = format!("views.{}", me.id);
    let views = use_state_eq(|| -> Vec<View> {
        recall(&place).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    });
    let name = use_state_eq(String::new);
    let page = location.as_ref().map(|location| location.path().to_owned()).unwrap_or_default();
    let on_views = {
        let views = views.setter();
        Callback::from(move |changed: Vec<View>| {
            // Texts can always be written.
            remember(&place, &serde_json::to_string(&changed).unwrap_or_default());
            views.set(changed);
        })
    };
    let onsubmit = {
        let mut query = location.and_then(|location| location.query::<Query>().ok()).unwrap_or_default();
        query.retain(|part, _| !PASSING.contains(&part.as_str()));
        let (views, name, page, on_views) = (views.clone(), name.clone(), page.clone(), on_views.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let Some(text) = filled(&name) else { return };
            let view = View { page: page.clone(), name: text, query: query.clone() };
            on_views.emit(with((*views).clone(), view));
            name.set(String::new());
        })
    };
    let of_page: Vec<&View> = views.iter().filter(|view| view.page == page).collect();
    let item = |view: &View| {
        let on_choose = {
            let (navigator, route, query) = (navigator.clone(), route.clone(), view.query.clone());
            Callback::from(move |()| {
                if let (Some(navigator), Some(route)) = (&navigator, &route) {
                    // This cannot fail: texts can be written as a query.
                    drop(navigator.push_with_query(route, &query));
                }
            })
        };
        let on_delete = {
            let (views, view) = ((*views).clone(), view.clone());
            on_views
                .reform(move |_: MouseEvent| views.iter().filter(|other| **other != view).cloned().collect())
        };
        let label = i18n.fill("views.delete", &[("name", &view.name)]);
        html! {
            <div class="tm-view" key={view.name.clone()}>
                <MenuItem text={view.name.clone()} icon="fas fa-bookmark" {on_choose} />
                <button type="button" class="tm-filter__clear" aria-label={label.clone()} title={label} onclick={on_delete}>
                    <i class="fas fa-times" aria-hidden="true" />
                </button>
            </div>
        }
    };
    let oninput = {
        let name = name.setter();
        Callback::from(move |event: InputEvent| {
            name.set(event.target_unchecked_into::<HtmlInputElement>().value());
        })
    };
    html! {
        <Menu label={i18n.t("views.title")} toggle={html! { <i class="fas fa-bookmark" aria-hidden="true" /> }}>
            { for of_page.iter().map(|view| item(view)) }
            if of_page.is_empty() {
                <p class="tm-search__note">{ i18n.t("views.none") }</p>
            }
            <form class="tm-view-form" {onsubmit}>
                <span class="pf-v6-c-form-control">
                    <input type="text" maxlength="60" value={(*name).clone()} {oninput} placeholder={i18n.t("views.name")} aria-label={i18n.t("views.name")} autocomplete="off" />
                </span>
                <Button variant={ButtonVariant::Secondary} r#type={ButtonType::Submit} label={i18n.t("views.save").to_string()} disabled={filled(&name).is_none()} />
            </form>
        </Menu>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_takes_the_place_of_its_namesake_on_the_same_page() {
        let view = |page: &str, status: &str| View {
            page: page.into(),
            name: "Mine".into(),
            query: Query::from([("status".into(), status.into())]),
        };
        let views = with(with(vec![view("/calls", "4xx")], view("/usage", "4xx")), view("/calls", "5xx"));
        assert_eq!(views, [view("/usage", "4xx"), view("/calls", "5xx")]);
    }
}
