//! The list of people.

use super::invitations::Invitations;
use super::roles::EditRoles;
use crate::api::use_api;
use crate::components::{
    AsyncView, Avatar, Button, Column, DataTable, Empty, Page, Pager, RoleLabel, Row, SearchField, Time,
};
use crate::hooks::{setter, use_debounced, use_paged, use_query, use_teams};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use contract::Page as Items;
use contract::people::{ListPeople, Me, PeopleQuery, PersonView};
use domain::people::role::{Action, Role, Subject};
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;

const STILL_MS: u32 = 250;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    search: String,
}

/// `/users`
#[component]
pub fn UsersPage() -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let people = use_paged("pages", asked, move |filter: Filter, cursor| {
        let api = api.clone();
        async move {
            let search = Some(filter.search.trim().to_owned()).filter(|text| !text.is_empty());
            api.request::<ListPeople>()
                .query(&PeopleQuery { search, cursor, ..PeopleQuery::default() })
                .send()
                .await
        }
    });
    let teams = use_teams();
    let known_teams = teams.state.ready().cloned().unwrap_or_default();
    let editing = use_state_eq(|| None::<Rc<PersonView>>);
    let is_inviting = use_state_eq(|| false);
    let assigns = known_teams.iter().any(|team| can(&me, Action::AssignJunior, Subject::team(&team.id)));
    let set_inviting = |value: bool| {
        let is_inviting = is_inviting.setter();
        Callback::from(move |()| is_inviting.set(value))
    };
    let set_editing = setter(&editing);
    let (is_busy, items) = (people.remote.is_loading, people.items());
    let render = {
        let (i18n, me, set_editing) = (i18n.clone(), Rc::clone(&me), set_editing.clone());
        Callback::from(move |page: Rc<Items<PersonView>>| {
            let rows: Vec<Row> =
                page.items.iter().map(|person| row(&i18n, &me, person, assigns, &set_editing)).collect();
            html! { <DataTable label={i18n.t("users.title")} columns={columns(&i18n, assigns)} {rows} {is_busy} /> }
        })
    };
    let on_search = on_filter.reform(|search| Filter { search });
    let actions = html! {
        if assigns {
            <Button variant={ButtonVariant::Primary} icon={Icon::PlusCircle} label={i18n.t("users.invite").to_string()} onclick={set_inviting(true).reform(|_| ())} />
        }
    };
    let on_changed = people.remote.on_refresh.clone();
    html! {
        <Page title={i18n.t("users.title")} summary={i18n.t("users.summary")} {actions}>
            <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
                <SearchField label={i18n.t("users.search")} value={filter.search.clone()} on_change={on_search} />
            </div>
            <AsyncView<Items<PersonView>>
                state={people.remote.state}
                on_retry={people.remote.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<PersonView>>| page.items.is_empty())}
                empty={html! { <Empty title={i18n.t("users.none")} /> }}
            />
            <Pager number={people.number} {items} on_previous={people.on_previous} on_next={people.on_next} />
            if assigns {
                <div class="tm-below">
                    <Invitations teams={Rc::clone(&known_teams)} is_inviting={*is_inviting} on_close={set_inviting(false)} on_changed={on_changed.clone()} />
                </div>
            }
            if let Some(person) = (*editing).clone() {
                <EditRoles {person} teams={known_teams} on_close={set_editing.reform(|()| None)} {on_changed} />
            }
        </Page>
    }
}

fn columns(i18n: &I18n, assigns: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::new(i18n.t("users.person")),
        Column::new(i18n.t("users.teams")),
        Column::new(i18n.t("users.last-sign-in")),
    ];
    if assigns {
        columns.push(Column::new(i18n.t("app.actions")));
    }
    columns
}

fn row(
    i18n: &I18n,
    me: &Me,
    person: &PersonView,
    assigns: bool,
    on_edit: &Callback<Option<Rc<PersonView>>>,
) -> Row {
    let name = person.name.clone().or_else(|| person.email.clone()).unwrap_or_else(|| person.id.to_string());
    let teams =
        person.memberships.iter().map(|m| html! { <RoleLabel role={m.role} team={m.team_name.clone()} /> });
    let is_platform_admin = person.memberships.iter().any(|m| m.team_id.is_core() && m.role == Role::Admin);
    let mut cells = vec![
        html! {
            <span class="tm-person">
                <Avatar name={name.clone()} url={person.avatar_url.clone()} />
                <span>
                    { &name }
                    if person.id == me.id {
                        <span class="tm-subtle">{ " " }{ i18n.t("users.you") }</span>
                    }
                    if is_platform_admin {
                        { " " }<Label label={i18n.t("users.platform-admin").to_string()} color={Color::Purple} compact=true />
                    }
                    if let Some(email) = &person.email {
                        <div class="tm-subtle tm-address">{ email }</div>
                    }
                </span>
            </span>
        },
        html! {
            if person.memberships.is_empty() {
                <span class="tm-subtle">{ i18n.t("users.waiting") }</span>
            } else {
                <span class="tm-labels">{ for teams }</span>
            }
        },
        match person.last_sign_in_at {
            Some(at) => html! { <Time {at} is_relative=true /> },
            None => html! { <span class="tm-subtle">{ i18n.t("users.never-signed-in") }</span> },
        },
    ];
    if assigns {
        let onclick = {
            let person = Rc::new(person.clone());
            on_edit.reform(move |_: MouseEvent| Some(Rc::clone(&person)))
        };
        cells.push(html! {
            <Button variant={ButtonVariant::Secondary} class="pf-m-small" label={i18n.t("users.edit-roles").to_string()} aria_label={format!("{} · {name}", i18n.t("users.edit-roles"))} {onclick} />
        });
    }
    (person.id.to_string(), cells)
}
