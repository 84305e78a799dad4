//! `/api/channels`: receivers of alerts outside the UI, and what was delivered to them.

use crate::tokens::check_name;
use crate::{Page, endpoint};
use domain::alert::channel::{ChannelKind, Language, Receiver, Target};
use domain::alert::event::Event;
use domain::error::FieldError;
use domain::id::{TeamId, UserId};
use domain::people::role::Action;
use domain::problem::Invalid;
use domain::secret::Reveal;
use domain::time::UnixMs;
use domain::upstream::address::AddressRules;
use serde::{Deserialize, Serialize};

/// The most channels of one team, and of the system.
pub const MAX_CHANNELS: u32 = 20;
/// The most thresholds of one channel.
pub const MAX_THRESHOLDS: usize = 10;

endpoint!(
    /// Makes a channel: of a team, which hears of the team, or of the system, which hears of everything. Its address and
    /// secret are sealed and never shown again.
    CreateChannel, "POST", "/api/channels", Some(Action::ManageChannels), 201, ChannelRequest => ChannelView,
    example: Some(r#"{ "name": "Night shift", "team_id": null, "target": { "kind": "slack", "url": "https://hooks.slack.com/services/T000/B000/XXXX" }, "events": ["budget", "route-failing", "route-recovered"], "thresholds": [80, 100], "language": "en" }"#)
);
endpoint!(
    /// Lists the channels that the caller may manage, by name; see [`ChannelQuery`].
    ListChannels, "GET", "/api/channels", Some(Action::ReadChannel), 200, ChannelQuery => Page<ChannelView>
);
endpoint!(
    /// Returns one channel.
    GetChannel, "GET", "/api/channels/{id}", Some(Action::ReadChannel), 200, () => ChannelView,
    etag: true
);
endpoint!(
    /// Changes the fields that are given. Its team never changes. Honours `If-Match`.
    UpdateChannel, "PUT", "/api/channels/{id}", Some(Action::ManageChannels), 200, ChannelRequest => ChannelView,
    if_match: true,
    example: Some(r#"{ "events": ["budget"], "enabled": false }"#)
);
endpoint!(
    /// Deletes a channel with its deliveries. What waits is not sent any more. Honours `If-Match`.
    DeleteChannel, "DELETE", "/api/channels/{id}", Some(Action::ManageChannels), 200, () => ChannelView,
    if_match: true
);
endpoint!(
    /// Sends a test to a channel at once, even to a disabled one, and returns what came of it. A test is not repeated.
    TestChannel, "POST", "/api/channels/{id}/test", Some(Action::ManageChannels), 200, () => Delivery,
    is_change: false
);
endpoint!(
    /// Lists a channel's deliveries of the last 14 days, newest first; see [`ChannelQuery`].
    ListDeliveries, "GET", "/api/channels/{id}/deliveries", Some(Action::ReadChannel), 200, ChannelQuery => Page<Delivery>
);

/// A channel as it is to be. A new one needs `name`, `target` and `events`; of one that exists, only the fields that are
/// present change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ChannelRequest {
    /// 1 to 255 characters after trimming, without control characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The team whose alerts it gets; absent makes a channel of the system. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// The receiver, with its secret.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub target: Option<Target>,
    /// The events that it is told of, at least one; of a team's channel those that concern teams. Replaces all.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
    /// Shares of a budget or quota, in percent, at which it is told; of a new channel 50, 80 and 100 if absent. Replaces all.
    #[cfg_attr(feature = "schema", schemars(length(max = 10)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<u8>>,
    /// The language of its texts; of a new channel `en` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Whether it gets alerts; a new channel does if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

domain::revealed!(ChannelRequest);

/// Query of a list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChannelQuery {
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// A channel. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChannelView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The team whose alerts it gets; `null` for a channel of the system, which gets all.
    pub team_id: Option<TeamId>,
    /// The kind of its receiver.
    pub kind: ChannelKind,
    /// The part of the receiver's address that is no secret: a webhook's address, the origin of Slack's or Discord's, the
    /// chat.
    pub address: String,
    /// The events that it is told of.
    pub events: Vec<Event>,
    /// Shares of a budget or quota, in percent, at which it is told.
    pub thresholds: Vec<u8>,
    /// The language of its texts.
    pub language: Language,
    /// Whether it gets alerts.
    pub enabled: bool,
    /// Time since which no delivery has succeeded, unix ms; `null` if the last one did.
    pub failing_since: Option<UnixMs>,
    /// The person who made it.
    pub created_by: Option<UserId>,
    /// When it was made, unix ms.
    pub created_at: UnixMs,
    /// When it was last changed, unix ms.
    pub updated_at: UnixMs,
    /// Raised by each change.
    pub version: u64,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It is due, or waits for its next try.
    Waiting,
    /// The receiver has taken it.
    Sent,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// Returns the name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }

    /// Reads the name in D1.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Waiting, Self::Sent, Self::Failed].into_iter().find(|state| state.as_str() == text)
    }
}

/// A delivery of one alert, or of several in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivery {
    /// Its id, which is the `webhook-id` of each try.
    pub id: String,
    /// The event.
    pub event: Event,
    /// Id of the thing that it concerns, or a fixed word such as `queue`; empty if it stands for several.
    pub subject: String,
    /// The number of further alerts that it stands for.
    pub more: u32,
    /// Its state.
    pub state: DeliveryState,
    /// When it was, or is, first due, unix ms.
    pub due_at: UnixMs,
    /// The number of tries so far.
    pub attempts: u32,
    /// When it is tried next, unix ms; `null` unless it waits.
    pub next_at: Option<UnixMs>,
    /// When it was last tried, unix ms.
    pub tried_at: Option<UnixMs>,
    /// The status of the last response; `null` if there was none.
    pub status: Option<u16>,
    /// The beginning of the last response, at most 300 characters, or the reason why there was none.
    pub response: Option<String>,
}

/// The parts of a request that were checked.
#[derive(Debug)]
pub struct Checked {
    /// The request, with its name trimmed and its lists sorted.
    pub request: ChannelRequest,
    /// The receiver, and the part of its address that may be shown.
    pub receiver: Option<(Receiver, String)>,
}

impl ChannelRequest {
    /// Checks every field that is given; a new channel needs name, receiver and events. `of` is the channel that is changed.
    ///
    /// # Errors
    /// Every field that is refused.
    pub fn validate(
        self,
        of: Option<&ChannelView>,
        rules: impl Into<AddressRules>,
    ) -> Result<Checked, Vec<FieldError>> {
        let is_teams = of.map_or(self.team_id.is_some(), |channel| channel.team_id.is_some());
        let mut errors = Vec::new();
        let needed = [
            ("name", self.name.is_none()),
            ("target", self.target.is_none()),
            ("events", self.events.is_none()),
        ];
        for (field, is_missing) in needed {
            if of.is_none() && is_missing {
                errors.push(FieldError::new(field, Invalid::Missing));
            }
        }
        if of.is_some() && self.team_id.is_some() {
            errors.push(FieldError::new("team_id", Invalid::NotAcceptable));
        }
        self.check(is_teams, rules, errors)
    }

    /// Checks every field that is given, whichever are. `errors` are those that were found before.
    ///
    /// # Errors
    /// Every field that is refused.
    pub fn check(
        mut self,
        is_teams: bool,
        rules: impl Into<AddressRules>,
        mut errors: Vec<FieldError>,
    ) -> Result<Checked, Vec<FieldError>> {
        self.name = self.name.map(|name| check_name("name", &name, &mut errors));
        let receiver = self.target.as_ref().map(|target| target.check(rules, &mut errors));
        self.events = self.events.map(|events| check_events(&events, is_teams, &mut errors));
        self.thresholds = self.thresholds.map(|thresholds| check_thresholds(&thresholds, &mut errors));
        if errors.is_empty() { Ok(Checked { request: self, receiver }) } else { Err(errors) }
    }
}

fn check_events(events: &[Event], is_teams: bool, errors: &mut Vec<FieldError>) -> Vec<Event> {
    if events.contains(&Event::Test) {
        errors.push(FieldError::new("events", Invalid::NotAcceptable));
    } else if events.is_empty() {
        errors.push(FieldError::new("events", Invalid::NoEvents));
    } else if is_teams && !events.iter().all(|event| event.is_of_teams()) {
        errors.push(FieldError::new("events", Invalid::NoTeamsEvents));
    }
    Event::choices().filter(|event| events.contains(event)).collect()
}

fn check_thresholds(thresholds: &[u8], errors: &mut Vec<FieldError>) -> Vec<u8> {
    let sorted: Vec<u8> = (1..=100).filter(|step| thresholds.contains(step)).collect();
    if sorted.len() > MAX_THRESHOLDS || !thresholds.iter().all(|step| sorted.contains(step)) {
        errors.push(FieldError::new("thresholds", Invalid::Thresholds { most: MAX_THRESHOLDS }));
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn channel(team: Option<&str>) -> ChannelView {
        serde_json::from_value(json!({
            "id": "chn_1", "name": "Ops", "team_id": team, "kind": "slack", "address": "https://hooks.example",
            "events": ["budget"], "thresholds": [], "language": "en", "enabled": true, "failing_since": null,
            "created_by": null, "created_at": 0, "updated_at": 0, "version": 1}))
        .unwrap()
    }

    fn check(is_new: bool, request: serde_json::Value) -> Result<Checked, Vec<String>> {
        check_of(Some(&channel(None)).filter(|_| !is_new), request)
    }

    fn check_of(of: Option<&ChannelView>, request: serde_json::Value) -> Result<Checked, Vec<String>> {
        let request: ChannelRequest = serde_json::from_value(request).unwrap();
        request.validate(of, false).map_err(|errors| errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn each_bad_field_is_named() {
        let bad = json!({
            "name": "", "target": {"kind": "slack", "url": "https://localhost/x"}, "events": [], "thresholds": [0, 101]});
        assert_eq!(check(true, bad).unwrap_err(), ["name", "target.url", "events", "thresholds"]);
        assert_eq!(check(true, json!({})).unwrap_err(), ["name", "target", "events"]);
        assert_eq!(check(false, json!({"events": ["test"]})).unwrap_err(), ["events"]);
        assert_eq!(check(false, json!({"team_id": "ops"})).unwrap_err(), ["team_id"]);
        let many: Vec<u8> = (1..=11).collect();
        assert_eq!(check(false, json!({"thresholds": many})).unwrap_err(), ["thresholds"]);
        assert!(check(false, json!({})).is_ok());
    }

    #[test]
    fn a_team_asks_for_nothing_of_which_it_never_hears() {
        let target = json!({"kind": "slack", "url": "https://hooks.example/x"});
        for event in Event::choices() {
            let events = json!(["budget", event]);
            let wanted = if event.is_of_teams() { None } else { Some(vec!["events".to_owned()]) };
            let new = json!({"name": "a", "team_id": "ops", "target": target, "events": events});
            assert_eq!(check(true, new).err(), wanted, "{event:?}");
            let change = json!({"events": events});
            assert_eq!(check_of(Some(&channel(Some("ops"))), change.clone()).err(), wanted, "{event:?}");
            assert!(check(false, change).is_ok(), "{event:?} of the system");
        }
    }

    #[test]
    fn lists_are_sorted_and_each_value_is_there_once() {
        let Checked { request, receiver } = check(
            true,
            json!({
            "name": " Ops ", "target": {"kind": "slack", "url": "https://hooks.example/x"},
            "events": ["token-ends", "budget", "budget"], "thresholds": [100, 80, 80]}),
        )
        .unwrap();
        assert_eq!(request.name.as_deref(), Some("Ops"));
        assert_eq!(receiver.map(|(_, shown)| shown).as_deref(), Some("https://hooks.example"));
        assert_eq!(request.events, Some(vec![Event::Budget, Event::TokenEnds]));
        assert_eq!(request.thresholds, Some(vec![80, 100]));
    }

    #[test]
    fn names_of_states_are_those_on_the_wire() {
        for state in [DeliveryState::Waiting, DeliveryState::Sent, DeliveryState::Failed] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
    }
}
