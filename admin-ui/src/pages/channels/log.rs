//! The deliveries to a channel.

use super::event_name;
use crate::api::use_api;
use crate::components::{AsyncView, Button, Column, DataTable, Dialog, Empty, Row, Time};
use crate::format;
use crate::hooks::use_remote;
use crate::i18n::{I18n, use_i18n};
use contract::Page as Items;
use contract::channels::{ChannelQuery, ChannelView, Delivery, DeliveryState, ListDeliveries};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// The deliveries that are shown.
const SHOWN: u32 = 50;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct LogProps {
    pub channel: Rc<ChannelView>,
    pub on_close: Callback<()>,
}

/// The latest deliveries of a channel, with what the receiver responded.
#[component]
pub fn Log(props: &LogProps) -> Html {
    let i18n = use_i18n();
    let (api, id) = (use_api(), props.channel.id.clone());
    let deliveries = use_remote(id, move |id| {
        let api = api.clone();
        async move {
            let query = ChannelQuery { limit: Some(SHOWN), ..ChannelQuery::default() };
            api.request::<ListDeliveries>().path(&[&id]).query(&query).send().await
        }
    });
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |page: Rc<Items<Delivery>>| table(&i18n, &page.items))
    };
    let footer = html! {
        <Button variant={ButtonVariant::Primary} label={i18n.t("app.close").to_string()} onclick={props.on_close.reform(|_| ())} />
    };
    let title = i18n.fill("channel.log-of", &[("name", &props.channel.name)]);
    html! {
        <Dialog {title} {footer} on_close={props.on_close.clone()} is_wide=true>
            <AsyncView<Items<Delivery>>
                state={deliveries.state}
                on_retry={deliveries.on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<Delivery>>| page.items.is_empty())}
                empty={html! { <Empty title={i18n.t("channel.no-deliveries")} /> }}
            />
        </Dialog>
    }
}

fn table(i18n: &I18n, items: &[Delivery]) -> Html {
    let columns =
        [i18n.t("audit.time"), i18n.t("channel.event"), i18n.t("channel.state"), i18n.t("channel.response")]
            .map(Column::new);
    let rows: Vec<Row> = items.iter().map(|item| row(i18n, item)).collect();
    html! { <DataTable label={i18n.t("channel.log")} columns={columns.to_vec()} {rows} /> }
}

fn row(i18n: &I18n, item: &Delivery) -> Row {
    let (state, color) = match item.state {
        DeliveryState::Waiting => (i18n.t("channel.waiting"), Color::Orange),
        DeliveryState::Sent => (i18n.t("channel.sent"), Color::Green),
        DeliveryState::Failed => (i18n.t("channel.failed"), Color::Red),
    };
    let more = (item.more > 0)
        .then(|| i18n.fill("channel.more", &[("count", &format::number(i18n, u64::from(item.more)))]));
    let cells = vec![
        html! { <Time at={item.tried_at.unwrap_or(item.due_at)} /> },
        html! {
            <>
                { event_name(i18n, item.event) }
                <div class="tm-subtle tm-mono tm-address">{ &item.subject }{ more }</div>
            </>
        },
        html! {
            <>
                <Label label={state.to_string()} {color} compact=true />
                if let Some(at) = item.next_at {
                    <div class="tm-subtle"><Time {at} is_relative=true /></div>
                }
            </>
        },
        html! {
            <>
                { item.status }
                <div class="tm-subtle tm-address">{ item.response.clone() }</div>
            </>
        },
    ];
    (item.id.clone(), cells)
}
