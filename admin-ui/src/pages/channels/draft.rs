//! The form of a channel as it is typed in.

use super::event_name;
use crate::components::{DraftField, changed, switch};
use crate::i18n::I18n;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::channels::{ChannelRequest, ChannelView};
use domain::alert::channel::{ChannelKind, Language, Target};
use domain::alert::event::Event;
use domain::alert::watch::DEFAULT_THRESHOLDS;
use domain::secret::Secret;

#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub name: String,
    /// Empty is the system.
    pub team: String,
    pub kind: ChannelKind,
    /// Whether the receiver is replaced; of a new channel it always is.
    pub is_replaced: bool,
    pub url: String,
    /// The signing secret, or the bot's token.
    pub secret: String,
    pub chat: String,
    pub events: Vec<Event>,
    pub thresholds: String,
    pub language: Language,
    pub enabled: bool,
}

impl Draft {
    pub fn of(channel: Option<&ChannelView>) -> Self {
        let thresholds = channel.map_or(DEFAULT_THRESHOLDS.as_slice(), |channel| &channel.thresholds);
        Self {
            name: channel.map(|channel| channel.name.clone()).unwrap_or_default(),
            team: channel
                .and_then(|channel| channel.team_id.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
            kind: channel.map(|channel| channel.kind).unwrap_or_default(),
            is_replaced: channel.is_none(),
            url: String::new(),
            secret: String::new(),
            chat: String::new(),
            events: channel.map_or_else(|| Event::choices().collect(), |channel| channel.events.clone()),
            thresholds: thresholds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            language: channel.map(|channel| channel.language).unwrap_or_default(),
            enabled: channel.is_none_or(|channel| channel.enabled),
        }
    }

    fn target(&self) -> Target {
        let of = |text: &str| Some(Secret::new(text.trim().to_owned()));
        let target = Target { kind: self.kind, ..Target::default() };
        match self.kind {
            ChannelKind::Webhook => Target { url: of(&self.url), secret: of(&self.secret), ..target },
            ChannelKind::Slack | ChannelKind::Discord => Target { url: of(&self.url), ..target },
            ChannelKind::Telegram => Target { token: of(&self.secret), chat: of(&self.chat), ..target },
        }
    }

    /// Returns the events that it may ask for: a team's channel, those that concern teams.
    pub fn choices(&self) -> impl Iterator<Item = Event> {
        let is_systems = self.team.is_empty();
        Event::choices().filter(move |event| is_systems || event.is_of_teams())
    }

    fn asked(&self) -> Vec<Event> {
        self.choices().filter(|event| self.events.contains(event)).collect()
    }

    /// Reads the thresholds. What is no number becomes one that is out of range, so that validation reports it.
    fn thresholds(&self) -> Vec<u8> {
        let texts = self.thresholds.split([',', ' ', '、']).map(|text| text.trim().trim_end_matches('%'));
        texts.filter(|text| !text.is_empty()).map(|text| text.parse().unwrap_or(0)).collect()
    }

    pub fn create(&self) -> ChannelRequest {
        ChannelRequest {
            name: Some(self.name.clone()),
            team_id: Some(self.team.as_str()).filter(|team| !team.is_empty()).map(Into::into),
            target: Some(self.target()),
            events: Some(self.asked()),
            thresholds: Some(self.thresholds()),
            language: Some(self.language),
            enabled: None,
        }
    }

    /// Names only the fields that differ.
    pub fn update(&self, channel: &ChannelView) -> ChannelRequest {
        ChannelRequest {
            team_id: None,
            name: changed(&channel.name, self.name.clone()),
            target: self.is_replaced.then(|| self.target()),
            events: changed(&channel.events, self.asked()),
            thresholds: changed(&channel.thresholds, self.thresholds()),
            language: changed(&channel.language, self.language),
            enabled: changed(&channel.enabled, self.enabled),
        }
    }
}

/// Makes a signing secret in the browser; `None` if it offers no randomness.
pub fn new_secret() -> Option<String> {
    let mut bytes = [0_u8; 32];
    gloo::utils::window().crypto().ok()?.get_random_values_with_u8_array(&mut bytes).ok()?;
    Some(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// The fields of a channel that exists.
pub const FIELDS: &[DraftField<Draft>] = &[
    DraftField {
        label: |i18n| i18n.t("channel.name"),
        text: |_, draft| draft.name.clone(),
        take: |draft, from| draft.name.clone_from(&from.name),
    },
    DraftField {
        label: |i18n| i18n.t("channel.events"),
        text: events,
        take: |draft, from| draft.events.clone_from(&from.events),
    },
    DraftField {
        label: |i18n| i18n.t("channel.thresholds"),
        text: |_, draft| draft.thresholds.clone(),
        take: |draft, from| draft.thresholds.clone_from(&from.thresholds),
    },
    DraftField {
        label: |i18n| i18n.t("channel.language"),
        text: |_, draft| draft.language.as_str().to_owned(),
        take: |draft, from| draft.language = from.language,
    },
    DraftField {
        label: |i18n| i18n.t("channel.enabled"),
        text: |i18n, draft| switch(i18n, draft.enabled),
        take: |draft, from| draft.enabled = from.enabled,
    },
];

fn events(i18n: &I18n, draft: &Draft) -> String {
    draft.asked().into_iter().map(|event| event_name(i18n, event).to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_names_only_the_fields_that_differ_and_keeps_the_receiver() {
        let channel: ChannelView = serde_json::from_value(serde_json::json!({
            "id": "chn_1", "name": "Ops", "team_id": null, "kind": "slack", "address": "https://hooks.example",
            "events": ["budget"], "thresholds": [80], "language": "en", "enabled": true, "failing_since": null,
            "created_by": null, "created_at": 0, "updated_at": 0, "version": 1}))
        .unwrap();
        let draft = Draft::of(Some(&channel));
        let sent =
            |draft: &Draft| serde_json::to_value(domain::secret::Revealed(&draft.update(&channel))).unwrap();
        assert_eq!(sent(&draft), serde_json::json!({}));
        let other = Draft { thresholds: "90 %, x".to_owned(), enabled: false, ..draft };
        assert_eq!(sent(&other), serde_json::json!({"thresholds": [90, 0], "enabled": false}));
        assert!(other.update(&channel).validate(Some(&channel), false).is_err());
    }

    #[test]
    fn a_team_is_offered_the_events_that_concern_teams() {
        let system = Draft::of(None);
        assert_eq!(system.create().events.unwrap().len(), 12);
        let team = Draft { team: "ops".to_owned(), ..system };
        let asked = team.create().events.unwrap();
        assert_eq!(asked, team.choices().collect::<Vec<_>>());
        assert!(asked.len() == 6 && asked.iter().all(|event| event.is_of_teams()));
    }
}
