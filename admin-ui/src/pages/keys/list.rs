//! The list of admin API keys.

use super::create::CreateKey;
use super::dialogs::{Revoke, Rotate};
use crate::api::use_api;
use crate::components::{AsyncView, Button, Column, DataTable, Empty, Page, Pager, RoleLabel, Row, Time};
use crate::hooks::{setter, team_name, use_paged, use_teams};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use contract::Page as Items;
use contract::keys::{KeyQuery, KeyState, KeyView, ListKeys};
use contract::people::Me;
use contract::teams::TeamView;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// The dialog that is open.
#[derive(Clone, PartialEq)]
enum Open {
    Create,
    Rotate(Rc<KeyView>),
    Revoke(Rc<KeyView>),
}

/// `/keys`
#[component]
pub fn KeysPage() -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let keys = use_paged("pages", (), move |(), cursor| {
        let api = api.clone();
        async move { api.request::<ListKeys>().query(&KeyQuery { limit: None, cursor }).send().await }
    });
    let teams = use_teams().state.ready().cloned().unwrap_or_default();
    let open = use_state_eq(|| None::<Open>);
    let set_open = setter(&open);
    let (is_busy, items) = (keys.remote.is_loading, keys.items());
    let render = {
        let (i18n, teams, set_open) = (i18n.clone(), Rc::clone(&teams), set_open.clone());
        Callback::from(move |page: Rc<Items<KeyView>>| {
            let rows =
                page.items.iter().map(|key| row(&i18n, &me, &teams, key, &set_open)).collect::<Vec<_>>();
            html! { <DataTable label={i18n.t("keys.title")} columns={columns(&i18n)} {rows} {is_busy} /> }
        })
    };
    let actions = html! {
        <Button
            variant={ButtonVariant::Primary}
            icon={Icon::PlusCircle}
            label={i18n.t("keys.create").to_string()}
            onclick={set_open.reform(|_: MouseEvent| Some(Open::Create))}
        />
    };
    let on_changed = keys.remote.on_refresh.clone();
    let on_close = set_open.reform(|()| None);
    let dialog = (*open).clone().map(|open| match open {
        Open::Create => html! { <CreateKey {teams} {on_close} on_created={on_changed} /> },
        Open::Rotate(key) => html! { <Rotate key_view={key} {on_close} {on_changed} /> },
        Open::Revoke(key) => html! { <Revoke key_view={key} {on_close} {on_changed} /> },
    });
    html! {
        <Page title={i18n.t("keys.title")} summary={i18n.t("keys.summary")} {actions}>
            <AsyncView<Items<KeyView>>
                state={keys.remote.state}
                on_retry={keys.remote.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<KeyView>>| page.items.is_empty())}
                empty={html! { <Empty title={i18n.t("keys.none")}>{ i18n.t("keys.none-advice") }</Empty> }}
            />
            <Pager number={keys.number} {items} on_previous={keys.on_previous} on_next={keys.on_next} />
            { dialog.unwrap_or_default() }
        </Page>
    }
}

fn columns(i18n: &I18n) -> Vec<Column> {
    vec![
        Column::new(i18n.t("token.name")),
        Column::new(i18n.t("keys.maker")),
        Column::new(i18n.t("keys.roles")),
        Column::new(i18n.t("token.state")),
        Column::new(i18n.t("token.expires")),
        Column::new(i18n.t("token.last-used")),
        Column::new(i18n.t("app.actions")),
    ]
}

fn row(i18n: &I18n, me: &Me, teams: &[TeamView], key: &KeyView, on_open: &Callback<Option<Open>>) -> Row {
    let hint = key.hint.as_ref().map(|hint| format!("{}…{}", hint.start, hint.end)).unwrap_or_default();
    let maker = key.maker_name.clone().unwrap_or_else(|| key.made_by.to_string());
    // The role in force: the one that was given may be above what its maker has left.
    let roles = key.roles.iter().filter_map(|given| {
        Some(html! { <RoleLabel role={given.effective?} team={team_name(teams, &given.team_id)} /> })
    });
    let cells = vec![
        html! { <>{ &key.name }<div class="tm-subtle tm-mono">{ hint }</div></> },
        html! {
            <>
                { maker }
                if key.made_by == me.id {
                    <span class="tm-subtle">{ " " }{ i18n.t("users.you") }</span>
                }
            </>
        },
        html! {
            <span class="tm-labels">
                { for roles }
                if key.read_only {
                    <Label label={i18n.t("keys.read-only").to_string()} compact=true />
                }
            </span>
        },
        state_label(i18n, key.state),
        html! { <Time at={key.expires_at} is_end=true /> },
        match key.last_used_at {
            Some(at) => html! { <Time {at} is_relative=true /> },
            None => html! { <span class="tm-subtle">{ i18n.t("token.never-used") }</span> },
        },
        buttons(i18n, me, key, on_open),
    ];
    (key.id.to_string(), cells)
}

fn state_label(i18n: &I18n, state: KeyState) -> Html {
    let (text, color) = match state {
        KeyState::Active => (i18n.t("standing.active"), Color::Green),
        KeyState::Expired => (i18n.t("standing.expired"), Color::Orange),
        KeyState::Revoked => (i18n.t("standing.revoked"), Color::Red),
        KeyState::MakerGone => (i18n.t("keys.maker-gone"), Color::Red),
    };
    html! { <Label label={text.to_string()} {color} compact=true /> }
}

fn buttons(i18n: &I18n, me: &Me, key: &KeyView, on_open: &Callback<Option<Open>>) -> Html {
    if key.state == KeyState::Revoked {
        return html! {};
    }
    let button = |text: AttrValue, variant, open: fn(Rc<KeyView>) -> Open| {
        let key = Rc::new(key.clone());
        let aria_label = format!("{text} · {}", key.name);
        let onclick = on_open.reform(move |_: MouseEvent| Some(open(Rc::clone(&key))));
        html! { <Button {variant} class="pf-m-small" label={text.to_string()} {aria_label} {onclick} /> }
    };
    let may = |action| can(me, action, Subject::made_by(&key.made_by));
    html! {
        <span class="tm-labels">
            if may(Action::RotateKey) {
                { button(i18n.t("tokens.rotate"), ButtonVariant::Secondary, Open::Rotate) }
            }
            if may(Action::RevokeKey) {
                { button(i18n.t("tokens.revoke"), ButtonVariant::DangerSecondary, Open::Revoke) }
            }
        </span>
    }
}
