//! Upkeep: detailed health, notifications, and the comparison of KV with D1.

use crate::Body;
use crate::{Page, endpoint};
use domain::error::FieldError;
use domain::id::TeamId;
use domain::people::role::Action;
use domain::problem::{HealthNote, Invalid, Problem};
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

endpoint!(
    /// Reports the state of each dependency in a word. Requires no session and reveals nothing else.
    /// Measured at most every 10 s. The status is 503 if a dependency is down.
    GetHealthDetailed, "GET", "/health/detailed", None, 200, () => HealthDetailed,
    other_status: Some(503)
);
endpoint!(
    /// Lists open notifications about what the caller may see and has not hidden, newest first.
    ListNotifications, "GET", "/api/notifications", Some(Action::ReadRoute), 200, NotificationQuery => Page<Notification>
);
endpoint!(
    /// Hides a notification from the caller, for some hours or until its reason occurs again. Others still see it.
    SnoozeNotification, "POST", "/api/notifications/snooze", Some(Action::ReadRoute), 200, SnoozeRequest => Snoozed,
    is_change: false,
    example: Some(r#"{ "kind": "route-failing", "subject": "rte_1", "opened_at": 1763870461000, "hours": 24 }"#)
);
endpoint!(
    /// Shows changes that KV has not taken yet, and the findings of the last comparison of KV with D1.
    GetPublication, "GET", "/api/publication", Some(Action::ReadPublication), 200, () => Publication
);
endpoint!(
    /// Compares one slice of KV with D1 and repairs the differences if `repair` is set. Pass `next_cursor`
    /// back as `cursor` until there is none.
    Reconcile, "POST", "/api/publication/reconcile", Some(Action::Reconcile), 200, ReconcileRequest => ReconcileReport,
    is_change: false,
    body: Body::Optional,
    example: Some(r#"{ "repair": false }"#)
);

/// The state of a part of the system, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HealthStatus {
    /// It works.
    Ok,
    /// It works, but somebody should look at it.
    Degraded,
    /// It does not work.
    Down,
}

/// The state of the admin API and of everything that it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthDetailed {
    /// The worst status of all the parts.
    pub status: HealthStatus,
    /// `admin-api`.
    pub service: String,
    /// Version of the software, such as `1.2.0`.
    pub version: String,
    /// Time of the measurement, unix ms; at most 10 s ago.
    pub checked_at: UnixMs,
    /// The parts. If the database is down, those that need it are left out.
    pub checks: Vec<HealthCheck>,
}

/// One part of the system: `audit`, `canary`, `credentials`, `database`, `derived-tokens` (if their key cannot be read),
/// `drift`, `feed`, `kv`, `publication`, `queue`, `sessions` or `usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthCheck {
    /// One of the names above.
    pub name: String,
    /// The state of this part.
    pub status: HealthStatus,
    /// A short note for people, such as `3 changes pending for 40 s`; `null` if there is none.
    pub note: Option<String>,
    /// The note's code, kebab-case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_code: Option<String>,
    /// The values in the note by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub note_values: BTreeMap<String, String>,
}

impl HealthCheck {
    /// Makes the check of a part.
    pub fn new(name: &str, status: HealthStatus, note: Option<HealthNote>) -> Self {
        let note = note.map(Problem::from);
        Self {
            name: name.to_owned(),
            status,
            note: note.as_ref().map(|note| note.message.clone()),
            note_code: note.as_ref().map(|note| note.code.clone()),
            note_values: note.map(|note| note.values).unwrap_or_default(),
        }
    }

    /// Returns the note with its code and values.
    pub fn problem(&self) -> Option<Problem> {
        let code = self.note_code.clone().unwrap_or_default();
        self.note.clone().map(|message| Problem { code, message, values: self.note_values.clone() })
    }
}

/// Query of the list; every field is optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NotificationQuery {
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// The most hours for which a notification can be hidden: 30 days.
pub const MAX_SNOOZE_HOURS: i64 = 720;

/// A notification to hide from the caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SnoozeRequest {
    /// Its kind.
    pub kind: NotificationKind,
    /// Its subject.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 255)))]
    pub subject: String,
    /// Its `created_at`: if it is opened again, it shows again.
    pub opened_at: UnixMs,
    /// 1 to 720; absent or `null` hides it as long as it is open.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 720)))]
    #[serde(default)]
    pub hours: Option<i64>,
}

impl SnoozeRequest {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that is refused.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        if !(1..=255).contains(&self.subject.chars().count()) {
            errors.push(FieldError::new("subject", Invalid::Length { least: 1, most: 255 }));
        }
        if !(0..=1 << 53).contains(&self.opened_at) {
            errors.push(FieldError::new("opened_at", Invalid::Time));
        }
        if self.hours.is_some_and(|hours| !(1..=MAX_SNOOZE_HOURS).contains(&hours)) {
            errors.push(FieldError::new("hours", Invalid::Range { least: 1, most: 720 }));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// A notification that is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Snoozed {
    /// The time until which it is hidden, unix ms; `null` if it is hidden as long as it is open.
    pub until: Option<UnixMs>,
}

/// The reason for a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NotificationKind {
    /// `subject` is a token that expires within 14 days. `details`: `name`, `expires_at`.
    TokenExpiring,
    /// `subject` is a route; over 20 % of its calls failed in the last hour. `details`: `path`,
    /// `calls`, `failed`.
    RouteFailing,
    /// KV differs from D1. `details`: `entries`.
    KvDrift,
    /// Messages that could not be read. `details`: `messages`.
    DeadLetters,
    /// Usage events that the gateway had to drop. `details`: `events`.
    EventsDropped,
    /// The queue's consumer has stored nothing for minutes. `details`: `since` (unix ms).
    QueueStalled,
    /// `subject` is an AI model that was called and has no price. `details`: `calls`.
    ModelUnpriced,
    /// `subject` is a live token whose maker may no longer manage it. `details`: `name`, `person`.
    TokenUnattended,
    /// The database of usage is nearly full, so raw calls were deleted before their time. `details`: `calls`.
    UsageShed,
    /// A change was seen too late, or the canary that measures it found the path broken. `subject` is `new-token`,
    /// `revoked` or `usage` (`details`: `ms`, `limit_ms`), `gateway` if that does not respond, or `publication` if a change
    /// is not taken.
    Canary,
    /// `subject` is a token or team and the limit of which it has used 80 or 100 %. `details`: `name`, `token` (`null`
    /// for a team), `kind`, `step` (the percentage that was reached), `used` and `limit` at that time, `resets_at`.
    BudgetUsed,
    /// `subject` is a token whose calls or cost of this hour are over five times the usual. `details`: `name`, `is_cost`,
    /// `value`, `usual`.
    TokenSpike,
    /// `subject` is a token that was used from elsewhere. `details`: `name`, `place`.
    TokenElsewhere,
    /// Changes wait for their publication for minutes. `details`: `pending`, `waited_ms`.
    PublicationLate,
    /// `subject` is a database that is nearly full. `details`: `step` (percent), `bytes`.
    DatabaseFull,
    /// `subject` is a channel whose deliveries have failed for a day. `details`: `name`.
    ChannelFailing,
}

impl NotificationKind {
    /// All kinds. The list of notifications leaves out those of a newer version.
    pub const ALL: [Self; 16] = [
        Self::TokenExpiring,
        Self::RouteFailing,
        Self::KvDrift,
        Self::DeadLetters,
        Self::EventsDropped,
        Self::QueueStalled,
        Self::ModelUnpriced,
        Self::TokenUnattended,
        Self::UsageShed,
        Self::Canary,
        Self::BudgetUsed,
        Self::TokenSpike,
        Self::TokenElsewhere,
        Self::PublicationLate,
        Self::DatabaseFull,
        Self::ChannelFailing,
    ];

    /// Returns the name on the wire and in D1.
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
            Self::UsageShed => "usage-shed",
            Self::Canary => "canary",
            Self::BudgetUsed => "budget-used",
            Self::TokenSpike => "token-spike",
            Self::TokenElsewhere => "token-elsewhere",
            Self::PublicationLate => "publication-late",
            Self::DatabaseFull => "database-full",
            Self::ChannelFailing => "channel-failing",
        }
    }
}

/// The longest time for which the consumer may leave a heartbeat unanswered.
pub const STALLED_AFTER_MS: i64 = 3 * domain::time::MINUTE_MS;

/// Returns the time since which the queue's consumer has stored nothing, unix ms; `None` while it works.
///
/// `waiting_since` is the time at which the oldest unanswered heartbeat was sent, `stored_at` the time
/// at which the consumer last stored anything.
pub fn stalled_since(waiting_since: UnixMs, stored_at: Option<UnixMs>, now: UnixMs) -> Option<UnixMs> {
    let is_answered = stored_at.is_some_and(|at| at >= waiting_since);
    (!is_answered && now - waiting_since >= STALLED_AFTER_MS).then(|| stored_at.unwrap_or(waiting_since))
}

/// A matter that somebody should attend to. It closes by itself once the reason is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notification {
    /// The reason, which determines `subject` and `details`.
    pub kind: NotificationKind,
    /// Id of the thing that it concerns, or a fixed word such as `queue`.
    pub subject: String,
    /// The team that it concerns; `null` if it concerns the platform.
    pub team_id: Option<TeamId>,
    /// An object; each kind lists its fields.
    pub details: Value,
    /// Time since which it has been open, unix ms.
    pub created_at: UnixMs,
    /// Time at which its details were last renewed, unix ms.
    pub updated_at: UnixMs,
}

/// The state of publication to KV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Publication {
    /// Changes that KV has not taken yet.
    pub pending: u32,
    /// Time of the oldest pending change, unix ms; `null` if none is pending.
    pub oldest_at: Option<UnixMs>,
    /// The oldest pending changes, at most 50.
    pub rows: Vec<PendingChange>,
    /// Entries that the job found different within the last day and has not seen repaired yet.
    pub drift: u32,
    /// The time at which the job last finished comparing all tokens.
    pub compared_at: Option<UnixMs>,
    /// The reason why the job's last run stopped early, if it did.
    #[serde(default)]
    pub compare_error: Option<String>,
}

/// A change that KV has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingChange {
    /// `token` or `routes`.
    pub kind: String,
    /// The token's id; empty for the route table.
    pub entity_id: String,
    /// Time of the change, unix ms.
    pub created_at: UnixMs,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// Time from which it is tried again, unix ms.
    pub next_attempt_at: UnixMs,
    /// The reason why the last attempt failed; `null` before the first failure.
    pub last_error: Option<String>,
}

/// One slice to compare; an empty body compares the first slice without repairing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconcileRequest {
    /// Whether to publish each differing entry again. If absent or `false`, the call only compares.
    #[serde(default)]
    pub repair: bool,
    /// `next_cursor` of the previous slice; absent for the first slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The result for one slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReconcileReport {
    /// KV entries that were compared.
    pub compared: u32,
    /// Entries that differ.
    pub drift: Vec<Drift>,
    /// Position of the next slice. Absent after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// An entry of KV that differs from D1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Drift {
    /// The way in which it differs.
    pub kind: DriftKind,
    /// A token's id, `routes`, or, for an entry that D1 does not know, its KV key.
    pub subject: String,
    /// Whether this call repaired it.
    pub repaired: bool,
}

/// The way in which an entry of KV differs from D1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    /// D1 has it and KV does not.
    Missing,
    /// KV has it with another value.
    Different,
    /// D1's own record of it cannot be read, so nothing can be published for it. KV keeps its value.
    Unreadable,
    /// The gateway would accept it, but D1 does not know it. An entry of version 1 may be waiting for
    /// its import; one of version 2 can only remain from a state of D1 that no longer exists.
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
