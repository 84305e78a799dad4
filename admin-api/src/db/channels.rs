//! Channels for alerts, and their deliveries.

use super::{Columns, Db, Param, Statement, StoreError, json_column, params, sql, to_json};
use contract::channels::{ChannelView, Delivery, DeliveryState, MAX_CHANNELS};
use domain::alert::channel::{ChannelKind, Language};
use domain::alert::event::Event;
use domain::id::{TeamId, UserId};
use domain::people::grant::{Grant, ManageChannels};
use domain::time::UnixMs;
use serde_json::Value;

/// A channel with its sealed receiver.
#[derive(Debug)]
pub struct Stored {
    pub view: ChannelView,
    pub sealed: String,
}

/// Returns the event of a row; `None` for one of a newer version.
pub fn event_of(row: &Columns) -> Option<Event> {
    Event::parse(row.text("event"))
}

/// Returns the events that a channel is told of. Those of a newer version are left out.
pub fn events_of(row: &Columns) -> Vec<Event> {
    let names: Vec<String> = json_column(row.text("events"));
    names.iter().filter_map(|name| Event::parse(name)).collect()
}

impl TryFrom<Columns> for Stored {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        let kind = row.text("kind");
        let view = ChannelView {
            id: row.text("id").to_owned(),
            name: row.text("name").to_owned(),
            team_id: row.optional("team_id").map(TeamId::from),
            kind: ChannelKind::parse(kind).ok_or_else(|| StoreError::Unreadable(kind.to_owned()))?,
            address: row.text("address").to_owned(),
            events: events_of(&row),
            thresholds: json_column(row.text("thresholds")),
            language: Language::parse(row.text("language")).unwrap_or_default(),
            enabled: row.number("enabled") == 1,
            failing_since: row.integer("failing_since"),
            created_by: row.optional("created_by").map(UserId::from),
            created_at: row.number("created_at"),
            updated_at: row.number("updated_at"),
            version: row.number("version").unsigned_abs(),
        };
        Ok(Self { view, sealed: row.text("sealed").to_owned() })
    }
}

/// Lists channels by name; `teams` (JSON, `None` means all) are those whose channels the caller may manage.
pub async fn list(
    db: &Db,
    teams: Option<&str>,
    after: (&str, &str),
    limit: u32,
) -> Result<Vec<ChannelView>, StoreError> {
    let statement = db.statement(sql!("channels_list"), params![teams, after.0, after.1, limit])?;
    let channels: Vec<Stored> = super::readable(db.columns(statement).await?);
    Ok(channels.into_iter().map(|channel| channel.view).collect())
}

pub async fn get(db: &Db, id: &str) -> Result<Option<Stored>, StoreError> {
    let rows = db.columns(db.statement(sql!("channel_get"), params![id])?).await?;
    rows.into_iter().next().map(Stored::try_from).transpose()
}

/// A sealed receiver, with the fingerprint of the key that it is sealed under.
#[derive(Debug)]
pub struct Sealed {
    pub kind: ChannelKind,
    pub address: String,
    pub text: String,
    pub under: String,
}

/// Inserts a channel, unless its team, or the system, has [`MAX_CHANNELS`] already.
pub fn insert(
    db: &Db,
    grant: &Grant<ManageChannels>,
    view: &ChannelView,
    sealed: &Sealed,
) -> Result<Statement, StoreError> {
    let (events, thresholds) = (to_json(&view.events)?, to_json(&view.thresholds)?);
    let params: &[Param] = params![
        &view.id,
        &view.name,
        view.team_id.as_ref().map(TeamId::as_str),
        sealed.kind.as_str(),
        &sealed.address,
        &sealed.text,
        &sealed.under,
        &events,
        &thresholds,
        view.language.as_str(),
        grant.actor().as_str(),
        MAX_CHANNELS,
        view.created_at,
        view.enabled,
    ];
    db.statement(sql!("channel_insert"), params)
}

/// Writes the view's fields, and another receiver if there is one, if the channel still has the view's version.
pub fn update(
    db: &Db,
    _: &Grant<ManageChannels>,
    view: &ChannelView,
    sealed: Option<&Sealed>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (events, thresholds) = (to_json(&view.events)?, to_json(&view.thresholds)?);
    let params: &[Param] = params![
        &view.id,
        &view.name,
        sealed.map(|sealed| sealed.kind.as_str()),
        sealed.map(|sealed| &sealed.address),
        sealed.map(|sealed| &sealed.text),
        sealed.map(|sealed| &sealed.under),
        &events,
        &thresholds,
        view.language.as_str(),
        view.enabled,
        now,
        view.version,
    ];
    db.statement(sql!("channel_update"), params)
}

/// Deletes a channel. If `version` is given, it deletes the channel only at that version.
pub fn delete(
    db: &Db,
    _: &Grant<ManageChannels>,
    id: &str,
    version: Option<u64>,
) -> Result<Statement, StoreError> {
    db.statement(sql!("channel_delete"), params![id, version])
}

/// Lists a channel's deliveries, newest first. `after` is the time and id of the last one seen.
pub async fn deliveries(
    db: &Db,
    channel: &str,
    after: Option<(UnixMs, &str)>,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let (at, id) = after.unwrap_or((super::MAX_SAFE, ""));
    let statement = db.statement(sql!("deliveries_list"), params![channel, at, id, limit])?;
    Ok(db.columns(statement).await?.iter().filter_map(delivery).collect())
}

fn delivery(row: &Columns) -> Option<Delivery> {
    let state = DeliveryState::parse(row.text("state"))?;
    Some(Delivery {
        id: row.text("id").to_owned(),
        event: event_of(row)?,
        subject: row.text("subject").to_owned(),
        more: row.number("more").try_into().unwrap_or(0),
        state,
        due_at: row.number("due_at"),
        attempts: row.number("attempts").try_into().unwrap_or(0),
        next_at: (state == DeliveryState::Waiting).then_some(row.number("next_at")),
        tried_at: row.integer("tried_at"),
        status: row.integer("status").and_then(|status| status.try_into().ok()),
        response: row.optional("response").map(str::to_owned),
    })
}

/// Makes the statement that notes that a channel has taken something.
pub fn works(db: &Db, channel: &str) -> Result<Statement, StoreError> {
    db.statement(sql!("channel_sent"), params![channel])
}

/// Stores a test that was sent, and that the channel works if it has arrived.
pub async fn note_test(
    db: &Db,
    _: &Grant<ManageChannels>,
    channel: &str,
    test: &Delivery,
    alert: &Value,
) -> Result<(), StoreError> {
    let alert = alert.to_string();
    let params: &[Param] = params![
        &test.id,
        channel,
        &alert,
        test.state.as_str(),
        test.due_at,
        test.status.map(u32::from),
        test.response.as_ref(),
    ];
    let mut statements = vec![db.statement(sql!("delivery_test"), params)?];
    if test.state == DeliveryState::Sent {
        statements.push(works(db, channel)?);
    }
    db.batch(statements).await.map(drop)
}
