//! Alerts that were noted, and their deliveries on the way.

use super::channels::event_of;
use super::{Columns, Db, Statement, StoreError, columns_of, json_column, object, params, sql, to_json};
use domain::alert::channel::Language;
use domain::alert::event::{Alert, Event, Occurrence};
use domain::alert::fold::Earlier;
use domain::alert::plan::{Channel, Plan};
use domain::alert::retry::Fate;
use domain::id::TeamId;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, UnixMs};
use serde_json::Value;
use worker::D1Result;

/// Alerts that one round plans.
const PLANNED: u32 = 200;
/// The deliveries that are sent at the same time: the platform has six connections for an invocation.
const AT_ONCE: u32 = 5;
/// The time for which a delivery belongs to the run that has taken it.
const LEASE_MS: i64 = 2 * MINUTE_MS;
/// The time after which a channel whose deliveries fail is reported.
const FAILING_MS: i64 = DAY_MS;
/// The times for which alerts, by which a repeat is known, and deliveries are kept.
const ALERTS_KEPT_MS: i64 = 40 * DAY_MS;
const DELIVERIES_KEPT_MS: i64 = 14 * DAY_MS;

/// Makes the statement that lists alerts of which no deliveries were made yet, the oldest first.
pub fn waiting(db: &Db) -> Result<Statement, StoreError> {
    db.statement(sql!("alerts_waiting"), params![PLANNED])
}

/// Reads alerts, each with its number.
pub fn occurrences(result: &D1Result) -> Result<Vec<(i64, Occurrence)>, StoreError> {
    let read = |row: &Columns| {
        let occurrence = Occurrence {
            kind: row.text("kind").to_owned(),
            subject: row.text("subject").to_owned(),
            team: row.optional("team_id").map(TeamId::from),
            details: json_column(row.text("details")),
            is_over: row.number("is_over") == 1,
            before: row.number("before"),
            at: row.number("at"),
        };
        (row.number("id"), occurrence)
    };
    Ok(columns_of(result)?.iter().map(read).collect())
}

/// The deliveries of a channel that are, or were, due within the last hour.
pub type Recent = (String, Vec<Earlier>);

/// Lists the channels that get alerts, and their deliveries of the last hour.
pub async fn receivers(db: &Db, now: UnixMs) -> Result<(Vec<Channel>, Vec<Recent>), StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("channels_wanting"), &[])?,
            db.statement(sql!("deliveries_recent"), params![now - HOUR_MS])?,
        ])
        .await?;
    let mut rows = results.iter().map(columns_of);
    let channels = rows.next().transpose()?.unwrap_or_default();
    let channels = channels.iter().map(|row| Channel {
        id: row.text("id").to_owned(),
        team: row.optional("team_id").map(TeamId::from),
        events: super::channels::events_of(row),
        thresholds: json_column(row.text("thresholds")),
    });
    let mut recent: Vec<Recent> = Vec::new();
    for row in rows.next().transpose()?.unwrap_or_default() {
        let Some(event) = event_of(&row) else { continue };
        let (id, subject) = (row.text("id").to_owned(), row.text("subject").to_owned());
        let is_open = row.text("state") == "waiting" && row.number("attempts") == 0;
        let earlier = Earlier { id, event, subject, due_at: row.number("due_at"), is_open };
        let channel = row.text("channel_id");
        match recent.iter_mut().find(|(of, _)| of == channel) {
            Some((_, deliveries)) => deliveries.push(earlier),
            None => recent.push((channel.to_owned(), vec![earlier])),
        }
    }
    Ok((channels.collect(), recent))
}

/// Writes the part of an alert that a delivery has no column for.
pub fn written(alert: &Alert) -> Value {
    let team = alert.team.as_ref().map(TeamId::as_str);
    object(vec![
        ("subject", alert.subject.as_str().into()),
        ("team", team.into()),
        ("details", alert.details.clone()),
        ("at", alert.at.into()),
    ])
}

/// Reads it again.
fn read(event: Event, text: &str) -> Alert {
    let mut alert: Value = json_column(text);
    let field = |name: &str| alert.get(name).and_then(Value::as_str);
    Alert {
        event,
        subject: field("subject").unwrap_or_default().to_owned(),
        team: field("team").map(TeamId::from),
        at: alert.get("at").and_then(Value::as_i64).unwrap_or_default(),
        details: alert.get_mut("details").map(Value::take).unwrap_or_default(),
    }
}

/// Stores a plan, and that these alerts (`numbers`) are planned. Returns the next alerts.
pub async fn put(
    db: &Db,
    plan: &Plan,
    numbers: &[i64],
    now: UnixMs,
) -> Result<Vec<(i64, Occurrence)>, StoreError> {
    let new = plan.new.iter().map(|one| {
        object(vec![
            ("id", one.id.as_str().into()),
            ("channel", one.channel.as_str().into()),
            ("event", one.alert.event.as_str().into()),
            ("subject", one.subject.as_str().into()),
            ("alert", written(&one.alert)),
            ("more", one.more.into()),
            ("due_at", one.due_at.into()),
        ])
    });
    let joined = plan.joined.iter().map(|one| {
        let (id, alert) = (one.id.as_str().into(), written(&one.alert));
        object(vec![("id", id), ("alert", alert), ("more", one.more.into())])
    });
    let (new, joined): (Value, Value) = (new.collect(), joined.collect());
    let results = db
        .batch(vec![
            db.statement(sql!("deliveries_add"), params![&new.to_string()])?,
            db.statement(sql!("deliveries_join"), params![&joined.to_string()])?,
            db.statement(sql!("alerts_planned"), params![&to_json(numbers)?, now])?,
            waiting(db)?,
        ])
        .await?;
    results.last().map_or_else(|| Ok(vec![]), occurrences)
}

/// A delivery that was taken to be sent.
#[derive(Debug)]
pub struct Taken {
    pub id: String,
    pub channel_id: String,
    /// Empty for several subjects.
    pub subject: String,
    pub alert: Alert,
    pub more: u32,
    pub due_at: UnixMs,
    pub attempts: u32,
    pub sealed: String,
    pub language: Language,
    pub enabled: bool,
}

/// Makes the statement that takes deliveries that are due, each of another channel. Of two runs only one takes each.
pub fn take(db: &Db, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("delivery_take"), params![now, now + LEASE_MS, AT_ONCE])
}

/// Reads the deliveries that were taken, without those of an event that this version does not know.
pub fn taken(result: &D1Result) -> Result<Vec<Taken>, StoreError> {
    let read = |row: &Columns| {
        Some(Taken {
            id: row.text("id").to_owned(),
            channel_id: row.text("channel_id").to_owned(),
            subject: row.text("subject").to_owned(),
            alert: read(event_of(row)?, row.text("alert")),
            more: row.number("more").try_into().unwrap_or(0),
            due_at: row.number("due_at"),
            attempts: row.number("attempts").try_into().unwrap_or(0),
            sealed: row.text("sealed").to_owned(),
            language: Language::parse(row.text("language")).unwrap_or_default(),
            enabled: row.number("enabled") == 1,
        })
    };
    Ok(columns_of(result)?.iter().filter_map(read).collect())
}

/// The end of a try.
#[derive(Debug)]
pub struct Ended {
    pub fate: Fate,
    /// The next try of the channel, if this one has failed.
    pub rests_until: UnixMs,
    pub status: Option<u16>,
    pub response: String,
}

/// Stores the ends of tries, and whether the channels work. While one does not, its other deliveries wait as well. Takes the
/// next deliveries, unless these were the last ones of the run.
pub async fn end(
    db: &Db,
    tried: &[(Taken, Ended)],
    now: UnixMs,
    is_last: bool,
) -> Result<Vec<Taken>, StoreError> {
    let mut statements = Vec::new();
    for (due, Ended { fate, rests_until, status, response }) in tried {
        let (state, next_at) = match fate {
            Fate::Sent => ("sent", now),
            Fate::Again(at) => ("waiting", *at),
            Fate::Failed => ("failed", now),
        };
        let tried = params![&due.id, state, next_at, status.map(u32::from), response, due.attempts];
        statements.push(db.statement(sql!("delivery_tried"), tried)?);
        if *fate == Fate::Sent {
            statements.push(super::channels::works(db, &due.channel_id)?);
        } else if due.enabled {
            // Nobody was tried for a disabled channel.
            let failed = params![&due.channel_id, now, *rests_until];
            statements.push(db.statement(sql!("channel_failed"), failed)?);
        }
    }
    if !is_last {
        statements.push(take(db, now)?);
    }
    let results = db.batch(statements).await?;
    results.last().filter(|_| !is_last).map_or_else(|| Ok(vec![]), taken)
}

/// Makes the statement that opens notifications about channels whose deliveries have failed for a day.
pub fn report_failing(db: &Db, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("notify_channels"), params![now, now - FAILING_MS])
}

/// Makes the statements that delete what is past its retention.
pub fn purge(db: &Db, now: UnixMs, limit: u32) -> Result<[Statement; 2], StoreError> {
    Ok([
        db.statement(sql!("alerts_purge"), params![now - ALERTS_KEPT_MS, limit])?,
        db.statement(sql!("deliveries_purge"), params![now - DELIVERIES_KEPT_MS, limit])?,
    ])
}
