//! A channel of alerts in a configuration.

use crate::channels::ChannelRequest;
use domain::alert::channel::{Language, Target};
use domain::alert::event::Event;
use domain::id::TeamId;
use serde::Deserialize;

/// A channel. Its name is unique in its team, or among those of the system.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigChannel {
    /// 1 to 255 characters after trimming, without control characters.
    pub name: String,
    /// The team whose alerts it gets; absent makes a channel of the system.
    #[serde(default)]
    pub team_id: Option<TeamId>,
    /// The receiver, with its secret; a channel that exists keeps the one that it has if it is absent.
    #[serde(default)]
    pub target: Option<Target>,
    /// The events that it is told of, at least one; of a team's channel those that concern teams.
    pub events: Vec<Event>,
    /// Shares of a budget or quota, in percent, at which it is told; 50, 80 and 100 if absent.
    #[serde(default)]
    pub thresholds: Option<Vec<u8>>,
    /// The language of its texts; `en` if absent.
    #[serde(default)]
    pub language: Language,
    /// Whether it gets alerts; `true` if absent.
    #[serde(default = "super::enabled_by_default")]
    pub enabled: bool,
}

impl ConfigChannel {
    /// Returns its stable name.
    pub fn key(&self) -> String {
        super::items::key_of_channel(self.team_id.as_ref(), self.name.trim())
    }

    /// Returns the request that makes it.
    pub fn request(&self) -> ChannelRequest {
        let channel = self.clone();
        ChannelRequest {
            name: Some(channel.name),
            team_id: channel.team_id,
            target: channel.target,
            events: Some(channel.events),
            thresholds: channel.thresholds,
            language: Some(channel.language),
            enabled: Some(channel.enabled),
        }
    }
}
