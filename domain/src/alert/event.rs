//! The events of which channels are told, and what of them each channel asks for.

use crate::id::TeamId;
use crate::time::UnixMs;
use serde_json::Value;

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal),+ $(,)?) => {
        /// The reason for an alert. A released name never changes: receivers compare it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Event {
            $($(#[doc = $doc])* #[cfg_attr(feature = "schema", schemars(rename = $text))] $name,)+
        }

        impl Event {
            /// Every event, in the order of the form.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns the name on the wire and in D1.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Returns `None` for a name that this version does not know.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|event| event.as_str() == text)
            }
        }
    };
}

events! {
    /// A token or a team has used one of the channel's thresholds of a budget or quota.
    Budget = "budget",
    /// A token expires within 14, 3 or 1 days.
    TokenEnds = "token-ends",
    /// Over 20 % of a route's calls have failed for ten minutes.
    RouteFailing = "route-failing",
    /// A route that was failing works again.
    RouteRecovered = "route-recovered",
    /// A token's calls or cost of this hour are over five times what is usual at this hour of the week.
    TokenSpike = "token-spike",
    /// A token was used from a country or an address from which it was not used for 30 days.
    TokenElsewhere = "token-elsewhere",
    /// Changes wait for their publication.
    PublicationLate = "publication-late",
    /// The canary saw a change too late, or found the path of changes broken.
    CanaryLate = "canary-late",
    /// Messages about usage could not be read.
    DeadLetters = "dead-letters",
    /// A database is nearly full.
    DatabaseFull = "database-full",
    /// Somebody has become ADMIN of a team.
    AdminAdded = "admin-added",
    /// The maker of a token may no longer manage it.
    TokenUnattended = "token-unattended",
    /// Somebody tries a channel out. No channel asks for it.
    Test = "test",
}

by_name!(Event);

impl Event {
    /// The events that a channel can ask for.
    pub fn choices() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|event| *event != Self::Test)
    }

    /// Whether it concerns teams, so that a team's channel can hear of it.
    pub fn is_of_teams(self) -> bool {
        match self {
            Self::Budget
            | Self::TokenEnds
            | Self::TokenSpike
            | Self::TokenElsewhere
            | Self::AdminAdded
            | Self::TokenUnattended
            | Self::Test => true,
            Self::RouteFailing
            | Self::RouteRecovered
            | Self::PublicationLate
            | Self::CanaryLate
            | Self::DeadLetters
            | Self::DatabaseFull => false,
        }
    }
}

/// Something that has happened, as the database noted it when it did: a notification that was opened, that has reached
/// its next step, or that is over; or a person who has become ADMIN.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// Kind of the notification, or `admin-added`.
    pub kind: String,
    /// Its subject.
    pub subject: String,
    /// The team that it concerns, if it is one.
    pub team: Option<TeamId>,
    /// An object; each kind has fields of its own.
    pub details: Value,
    /// Whether its reason is gone.
    pub is_over: bool,
    /// The step before the one in `details`; 0 if it is the first.
    pub before: i64,
    /// When it happened, unix ms.
    pub at: UnixMs,
}

impl Occurrence {
    /// Returns the step in the details: a share in percent, days, or 1 for what has lasted.
    pub fn step(&self) -> Option<i64> {
        self.details.get("step").and_then(Value::as_i64)
    }

    /// Returns the event that it is, if channels are told of such.
    pub fn event(&self) -> Option<Event> {
        let event = match (self.kind.as_str(), self.is_over) {
            ("budget-used", false) => Event::Budget,
            ("token-expiring", false) => Event::TokenEnds,
            // Only what has lasted has a step.
            ("route-failing", is_over) => {
                self.step()?;
                if is_over { Event::RouteRecovered } else { Event::RouteFailing }
            }
            ("token-spike", false) => Event::TokenSpike,
            ("token-elsewhere", false) => Event::TokenElsewhere,
            ("publication-late", false) => Event::PublicationLate,
            ("canary", false) => Event::CanaryLate,
            ("dead-letters", false) => Event::DeadLetters,
            ("database-full", false) => Event::DatabaseFull,
            ("admin-added", false) => Event::AdminAdded,
            ("token-unattended", false) => Event::TokenUnattended,
            _ => return None,
        };
        Some(event)
    }
}

/// The occurrences that a channel asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The team whose channel it is; a channel of the system hears of all.
    pub team: Option<&'a TeamId>,
    /// Its events.
    pub events: &'a [Event],
    /// Shares of budgets, in percent.
    pub thresholds: &'a [u8],
}

impl Wanted<'_> {
    /// Whether the channel is to be told of `occurrence`, which is `event`.
    pub fn asks_for(&self, event: Event, occurrence: &Occurrence) -> bool {
        let is_ours = self.team.is_none_or(|team| occurrence.team.as_ref() == Some(team));
        is_ours
            && self.events.contains(&event)
            && (event != Event::Budget || self.crosses(occurrence.before, occurrence.step().unwrap_or(0)))
    }

    fn crosses(&self, before: i64, now: i64) -> bool {
        self.thresholds.iter().any(|threshold| (before + 1..=now).contains(&i64::from(*threshold)))
    }
}

/// An alert to a channel, as it is kept until it is delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The reason.
    pub event: Event,
    /// Id of the thing that it concerns, or a fixed word such as `queue`.
    pub subject: String,
    /// The team that it concerns, if it is one.
    pub team: Option<TeamId>,
    /// An object; each event has fields of its own.
    pub details: Value,
    /// When it happened, unix ms.
    pub at: UnixMs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn occurrence(kind: &str, details: Value) -> Occurrence {
        let team = Some("ops".into());
        Occurrence {
            kind: kind.to_owned(),
            subject: "x".to_owned(),
            team,
            details,
            is_over: false,
            before: 0,
            at: 1,
        }
    }

    #[test]
    fn names_are_those_on_the_wire() {
        for event in Event::ALL {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
            assert_eq!(Event::parse(event.as_str()), Some(*event));
        }
        assert!(!Event::choices().any(|event| event == Event::Test));
    }

    #[test]
    fn a_route_is_reported_once_its_failing_has_lasted_and_then_once_it_works() {
        let fresh = occurrence("route-failing", json!({"calls": 9}));
        assert_eq!(fresh.event(), None);
        assert_eq!(Occurrence { is_over: true, ..fresh }.event(), None);
        let steady = occurrence("route-failing", json!({"calls": 9, "step": 1}));
        assert_eq!(steady.event(), Some(Event::RouteFailing));
        assert_eq!(Occurrence { is_over: true, ..steady }.event(), Some(Event::RouteRecovered));
        let over = Occurrence { is_over: true, ..occurrence("dead-letters", json!({})) };
        assert_eq!(over.event(), None);
        assert_eq!(occurrence("kv-drift", json!({})).event(), None);
    }

    #[test]
    fn a_channel_hears_of_the_thresholds_that_were_crossed_since_the_last_step() {
        let wanted = |thresholds| Wanted { team: None, events: &[Event::Budget], thresholds };
        let budget = |before, step| Occurrence { before, ..occurrence("budget-used", json!({"step": step})) };
        let hears =
            |thresholds, before, step| wanted(thresholds).asks_for(Event::Budget, &budget(before, step));
        assert!(hears(&[50, 80, 100], 0, 50) && hears(&[80], 50, 80) && hears(&[60, 80], 50, 100));
        assert!(!hears(&[50], 50, 80), "told of before");
        assert!(!hears(&[90], 50, 80) && !hears(&[], 0, 100));
        assert!(!hears(&[80], 100, 80), "the limit was raised");
    }

    #[test]
    fn a_team_hears_of_its_own_and_the_system_of_all() {
        let (ours, theirs) = (TeamId::from("ops"), TeamId::from("web"));
        let event = Event::TokenEnds;
        let asks = |team, events: &[Event], of: &Occurrence| {
            Wanted { team, events, thresholds: &[] }.asks_for(event, of)
        };
        let ends = occurrence("token-expiring", json!({"step": 3}));
        assert!(asks(Some(&ours), &[event], &ends) && asks(None, &[event], &ends));
        assert!(!asks(Some(&theirs), &[event], &ends) && !asks(None, &[Event::Budget], &ends));
        let platform = Occurrence { team: None, ..ends };
        assert!(!asks(Some(&ours), &[event], &platform) && asks(None, &[event], &platform));
    }
}
