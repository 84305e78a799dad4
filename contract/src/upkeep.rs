//! Upkeep: health in detail, the bell, and the comparison of KV with D1.

use crate::Body;
use crate::{Page, endpoint};
use domain::id::TeamId;
use domain::people::role::Action;
use domain::problem::Problem;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

endpoint!(
    /// Each dependency in a word. Asks for no session, tells nothing but the words, and is measured
    /// at most every 10 s. 503 where one is down.
    GetHealthDetailed, "GET", "/health/detailed", None, 200, () => HealthDetailed,
    other_status: Some(503)
);
endpoint!(
    /// Lists open notifications about what the caller may see, newest first.
    ListNotifications, "GET", "/api/notifications", Some(Action::ReadRoute), 200, NotificationQuery => Page<Notification>
);
endpoint!(
    /// Shows the changes that KV has not taken yet, and the findings of the last comparison of KV with D1.
    GetPublication, "GET", "/api/publication", Some(Action::ReadPublication), 200, () => Publication
);
endpoint!(
    /// Compares one slice of KV with D1 and, where asked to, mends what differs. Hand `next_cursor`
    /// back until there is none.
    Reconcile, "POST", "/api/publication/reconcile", Some(Action::Reconcile), 200, ReconcileRequest => ReconcileReport,
    is_change: false,
    body: Body::Optional,
    example: Some(r#"{ "repair": false }"#)
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HealthStatus {
    Ok,
    /// It works, and somebody should look.
    Degraded,
    Down,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthDetailed {
    /// The worst of all.
    pub status: HealthStatus,
    pub service: String,
    pub version: String,
    pub checked_at: UnixMs,
    pub checks: Vec<HealthCheck>,
}

/// `database`, `kv`, `queue`, `publication`, `sessions`, `drift`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthCheck {
    pub name: String,
    pub status: HealthStatus,
    /// A word or two for people, such as `3 changes pending for 40 s`.
    pub note: Option<String>,
    /// The note's code, kebab-case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_code: Option<String>,
    /// The values in the note by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub note_values: BTreeMap<String, String>,
}

impl HealthCheck {
    /// Returns the note with its code and values.
    pub fn problem(&self) -> Option<Problem> {
        let code = self.note_code.clone().unwrap_or_default();
        self.note.clone().map(|message| Problem { code, message, values: self.note_values.clone() })
    }
}

/// Query of the list, all optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NotificationQuery {
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NotificationKind {
    /// `subject` is a token that ends within 14 days. `details`: `name`, `expires_at`.
    TokenExpiring,
    /// `subject` is a route of whose calls over 20 % failed in the last hour. `details`: `path`,
    /// `calls`, `failed`.
    RouteFailing,
    /// KV differs from D1. `details`: `entries`.
    KvDrift,
    /// Messages that could not be read. `details`: `messages`.
    DeadLetters,
    /// Events that the gateway had to give up. `details`: `events`.
    EventsDropped,
    /// The queue's consumer has stored nothing for minutes. `details`: `since` (unix ms).
    QueueStalled,
    /// `subject` is an AI model that was called and has no price. `details`: `calls`.
    ModelUnpriced,
    /// `subject` is a live token whose maker may no longer manage it. `details`: `name`, `person`.
    TokenUnattended,
}

impl NotificationKind {
    pub const ALL: [Self; 8] = [
        Self::TokenExpiring,
        Self::RouteFailing,
        Self::KvDrift,
        Self::DeadLetters,
        Self::EventsDropped,
        Self::QueueStalled,
        Self::ModelUnpriced,
        Self::TokenUnattended,
    ];

    /// The name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokenExpiring => "token-expiring",
            Self::RouteFailing => "route-failing",
            Self::KvDrift => "kv-drift",
            Self::DeadLetters => "dead-letters",
            Self::EventsDropped => "events-dropped",
            Self::QueueStalled => "queue-stalled",
            Self::ModelUnpriced => "model-unpriced",
            Self::TokenUnattended => "token-unattended",
        }
    }
}

/// How long the consumer may leave a heartbeat unanswered.
pub const STALLED_AFTER_MS: i64 = 3 * domain::time::MINUTE_MS;

/// The time since which the queue's consumer has stored nothing, unix ms; `None` while it works.
///
/// `waiting_since` is when the oldest heartbeat was sent that it has not answered, `stored_at` when it
/// last stored anything.
pub fn stalled_since(waiting_since: UnixMs, stored_at: Option<UnixMs>, now: UnixMs) -> Option<UnixMs> {
    let is_answered = stored_at.is_some_and(|at| at >= waiting_since);
    (!is_answered && now - waiting_since >= STALLED_AFTER_MS).then(|| stored_at.unwrap_or(waiting_since))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notification {
    pub kind: NotificationKind,
    pub subject: String,
    /// `None` concerns the platform.
    pub team_id: Option<TeamId>,
    pub details: Value,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Publication {
    /// Changes that KV has not taken yet.
    pub pending: u32,
    pub oldest_at: Option<UnixMs>,
    /// The oldest of them, at most 50.
    pub rows: Vec<PendingChange>,
    /// Entries that the job found different within the last day and has not seen mended yet.
    pub drift: u32,
    /// When the job last came to the end of all tokens.
    pub compared_at: Option<UnixMs>,
    /// Why the job's last run broke off, if it did.
    #[serde(default)]
    pub compare_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingChange {
    /// `token` or `routes`.
    pub kind: String,
    /// The token's id; empty for the route table.
    pub entity_id: String,
    pub created_at: UnixMs,
    pub attempts: u32,
    pub next_attempt_at: UnixMs,
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {
    /// Publishes anew what differs. Absent is no: only look.
    #[serde(default)]
    pub repair: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReconcileReport {
    /// KV entries that were compared.
    pub compared: u32,
    pub drift: Vec<Drift>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// An entry of KV that is not what D1 says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Drift {
    pub kind: DriftKind,
    /// A token's id, `routes`, or for what D1 does not know the KV key.
    pub subject: String,
    /// Whether this call mended it.
    pub repaired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// D1 says it should be there.
    Missing,
    /// It is there and says something else.
    Different,
    /// D1's own record of it cannot be read, so nothing can be published of it. KV keeps what it has.
    Unreadable,
    /// The gateway would take it, and D1 does not know it. Such an entry of version 1 may wait for
    /// its import; of version 2 it can only be left from a state of D1 that is gone.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_answers_no_heartbeat_for_three_minutes_is_stalled() {
        let now = 1_000_000;
        assert_eq!(stalled_since(now - STALLED_AFTER_MS + 1, None, now), None);
        assert_eq!(stalled_since(now - STALLED_AFTER_MS, None, now), Some(now - STALLED_AFTER_MS));
        assert_eq!(stalled_since(now - STALLED_AFTER_MS, Some(7), now), Some(7), "since it last stored");
        assert_eq!(stalled_since(now - STALLED_AFTER_MS, Some(now - 1), now), None);
    }

    #[test]
    fn names_of_notifications_in_d1_and_on_the_wire_agree() {
        for kind in NotificationKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
