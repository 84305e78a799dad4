//! The list of channels.

use super::form::ChannelForm;
use super::kind_name;
use super::log::Log;
use crate::api::use_api;
use crate::components::{
    AsyncView, Button, CallErrorView, Column, DataTable, Empty, FormDialog, NotAllowed, Page, Pager, Row,
    Submission, Time,
};
use crate::hooks::{setter, team_name, use_action, use_paged, use_teams};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{may_manage_channels, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::Page as Items;
use contract::channels::{
    ChannelQuery, ChannelView, DeleteChannel, Delivery, DeliveryState, ListChannels, TestChannel,
};
use contract::teams::TeamView;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// `/channels`
#[component]
pub fn ChannelsPage() -> Html {
    let i18n = use_i18n();
    if may_manage_channels(&use_me()) {
        html! { <Channels /> }
    } else {
        html! { <NotAllowed title={i18n.t("channels.title")} /> }
    }
}

/// The dialog that is open.
#[derive(Clone, Debug, PartialEq)]
enum Open {
    New,
    Edit(Rc<ChannelView>),
    Delete(Rc<ChannelView>),
    Log(Rc<ChannelView>),
}

#[component]
fn Channels() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let channels = use_paged("pages", (), move |(), cursor| {
        let api = api.clone();
        async move {
            let query = ChannelQuery { cursor, ..ChannelQuery::default() };
            api.request::<ListChannels>().query(&query).send().await
        }
    });
    let teams = use_teams();
    let known_teams = teams.state.ready().cloned().unwrap_or_default();
    let open = use_state_eq(|| None::<Open>);
    let on_open = setter(&open);
    let on_close = on_open.reform(|()| None);
    let (on_changed, items) = (channels.remote.on_refresh.clone(), channels.items());
    let test = use_test(&on_changed);
    let render = {
        let (i18n, teams, on_open, on_test) =
            (i18n.clone(), Rc::clone(&known_teams), on_open.clone(), test.on_run.clone());
        Callback::from(move |page: Rc<Items<ChannelView>>| {
            table(&i18n, &page.items, &teams, &on_open, &on_test)
        })
    };
    let create = html! {
        <Button variant={ButtonVariant::Primary} icon={Icon::PlusCircle} label={i18n.t("channels.create").to_string()} onclick={on_open.reform(|_| Some(Open::New))} />
    };
    html! {
        <Page title={i18n.t("channels.title")} summary={i18n.t("channels.summary")} actions={create.clone()}>
            if let Some(error) = test.error {
                <CallErrorView {error} />
            }
            <AsyncView<Items<ChannelView>>
                state={channels.remote.state}
                on_retry={channels.remote.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<ChannelView>>| page.items.is_empty())}
                empty={html! { <Empty title={i18n.t("channels.none")}>{ create }</Empty> }}
            />
            <Pager number={channels.number} {items} on_previous={channels.on_previous} on_next={channels.on_next} />
            { match (*open).clone() {
                None => html! {},
                Some(Open::New) => html! { <ChannelForm teams={known_teams} {on_close} {on_changed} /> },
                Some(Open::Edit(channel)) => html! { <ChannelForm {channel} teams={known_teams} {on_close} {on_changed} /> },
                Some(Open::Delete(channel)) => html! { <Delete {channel} {on_close} {on_changed} /> },
                Some(Open::Log(channel)) => html! { <Log {channel} {on_close} /> },
            } }
        </Page>
    }
}

/// Sends a test, and says what came of it.
#[hook]
fn use_test(on_changed: &Callback<()>) -> crate::hooks::Action<String> {
    let (api, i18n, toast, on_changed) = (use_api(), use_i18n(), use_toast(), on_changed.clone());
    let on_done = Callback::from(move |delivery: Delivery| {
        let response = delivery.response.unwrap_or_default();
        let status = delivery.status.map(|status| status.to_string()).unwrap_or_default();
        toast.emit(match delivery.state {
            DeliveryState::Sent => (Tone::Success, i18n.t("channel.tested")),
            _ => (
                Tone::Danger,
                i18n.fill("channel.test-failed", &[("status", &status), ("response", &response)]),
            ),
        });
        on_changed.emit(());
    });
    use_action(
        move |id: String| {
            let api = api.clone();
            async move { api.request::<TestChannel>().path(&[&id]).send().await }
        },
        on_done,
    )
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct DeleteProps {
    channel: Rc<ChannelView>,
    on_close: Callback<()>,
    on_changed: Callback<()>,
}

/// Deletes a channel, after asking.
#[component]
fn Delete(props: &DeleteProps) -> Html {
    let i18n = use_i18n();
    let (api, channel) = (use_api(), Rc::clone(&props.channel));
    let on_done = {
        let (on_close, on_changed) = (props.on_close.clone(), props.on_changed.clone());
        Callback::from(move |_: ChannelView| {
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let action = use_action(
        move |()| {
            let (api, channel) = (api.clone(), Rc::clone(&channel));
            async move {
                api.request::<DeleteChannel>().path(&[&channel.id]).if_match(channel.version).send().await
            }
        },
        on_done,
    );
    html! {
        <FormDialog label={i18n.t("channels.delete")} title={i18n.t("channels.delete")} submission={Submission::from(action)} on_close={props.on_close.clone()} is_danger=true>
            <p class="tm-address">{ i18n.fill("channel.delete-advice", &[("name", &props.channel.name)]) }</p>
        </FormDialog>
    }
}

fn table(
    i18n: &I18n,
    items: &[ChannelView],
    teams: &[TeamView],
    on_open: &Callback<Option<Open>>,
    on_test: &Callback<String>,
) -> Html {
    let columns = [
        i18n.t("channel.name"),
        i18n.t("channel.kind"),
        i18n.t("channel.team"),
        i18n.t("channel.state"),
        i18n.t("app.actions"),
    ]
    .map(Column::new);
    let rows: Vec<Row> = items.iter().map(|item| row(i18n, item, teams, on_open, on_test)).collect();
    html! { <DataTable label={i18n.t("channels.title")} columns={columns.to_vec()} {rows} /> }
}

fn row(
    i18n: &I18n,
    item: &ChannelView,
    teams: &[TeamView],
    on_open: &Callback<Option<Open>>,
    on_test: &Callback<String>,
) -> Row {
    let whole = Rc::new(item.clone());
    let button = |text: AttrValue, onclick: Callback<MouseEvent>| {
        html! { <Button variant={ButtonVariant::InlineLink} label={text.to_string()} aria_label={format!("{text} {}", item.name)} {onclick} /> }
    };
    let opens = |open: fn(Rc<ChannelView>) -> Open| {
        let whole = Rc::clone(&whole);
        on_open.reform(move |_: MouseEvent| Some(open(Rc::clone(&whole))))
    };
    let id = item.id.clone();
    let cells = vec![
        html! { <span class="tm-address">{ &item.name }</span> },
        html! { <>{ kind_name(i18n, item.kind) }<div class="tm-subtle tm-address">{ &item.address }</div></> },
        match &item.team_id {
            Some(team) => html! { { team_name(teams, team) } },
            None => html! { { i18n.t("channel.system") } },
        },
        match item.failing_since {
            _ if !item.enabled => html! { <Label label={i18n.t("app.off").to_string()} compact=true /> },
            Some(at) => {
                html! { <><Label label={i18n.t("channel.failing").to_string()} color={Color::Red} compact=true />{ " " }<Time {at} is_relative=true /></> }
            }
            None => {
                html! { <Label label={i18n.t("app.on").to_string()} color={Color::Green} compact=true /> }
            }
        },
        html! {
            <span class="tm-labels tm-snippets tm-actions">
                { button(i18n.t("channel.test"), on_test.reform(move |_: MouseEvent| id.clone())) }
                { button(i18n.t("channel.log"), opens(Open::Log)) }
                { button(i18n.t("channels.edit"), opens(Open::Edit)) }
                { button(i18n.t("channels.delete"), opens(Open::Delete)) }
            </span>
        },
    ];
    (item.id.clone(), cells)
}
