//! Channels: receivers of alerts outside this site, and what was delivered to them.

mod draft;
mod form;
mod list;
mod log;

pub use list::ChannelsPage;

use crate::i18n::I18n;
use domain::alert::channel::ChannelKind;
use domain::alert::event::Event;
use yew::prelude::*;

/// A kind of receiver in the reader's language.
fn kind_name(i18n: &I18n, kind: ChannelKind) -> AttrValue {
    match kind {
        ChannelKind::Webhook => i18n.t("channel.webhook"),
        ChannelKind::Slack => AttrValue::Static("Slack"),
        ChannelKind::Discord => AttrValue::Static("Discord"),
        ChannelKind::Telegram => AttrValue::Static("Telegram"),
    }
}

/// An event in the reader's language.
fn event_name(i18n: &I18n, event: Event) -> AttrValue {
    match event {
        Event::Budget => i18n.t("event.budget"),
        Event::TokenEnds => i18n.t("event.token-ends"),
        Event::RouteFailing => i18n.t("event.route-failing"),
        Event::RouteRecovered => i18n.t("event.route-recovered"),
        Event::TokenSpike => i18n.t("event.token-spike"),
        Event::TokenElsewhere => i18n.t("event.token-elsewhere"),
        Event::PublicationLate => i18n.t("event.publication-late"),
        Event::CanaryLate => i18n.t("event.canary-late"),
        Event::DeadLetters => i18n.t("event.dead-letters"),
        Event::DatabaseFull => i18n.t("event.database-full"),
        Event::AdminAdded => i18n.t("event.admin-added"),
        Event::TokenUnattended => i18n.t("event.token-unattended"),
        Event::Test => i18n.t("event.test"),
    }
}
