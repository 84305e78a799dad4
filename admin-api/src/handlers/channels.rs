//! `/api/channels`

use crate::alerts::receiver;
use crate::change::{Change, snapshot};
use crate::db::audit::new_id;
use crate::db::channels::{self as store, Sealed, Stored};
use crate::db::{Db, alerts, to_json, tokens};
use crate::error::Failure;
use crate::handlers::{check_if_match, condition, overtaken};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_versioned};
use contract::Page;
use contract::audit::Deed;
use contract::channels::{
    ChannelQuery, ChannelRequest, ChannelView, Checked, Delivery, DeliveryState, MAX_CHANNELS,
};
use contract::error::ApiError;
use domain::alert::channel::Receiver;
use domain::alert::event::{Alert, Event};
use domain::alert::watch::DEFAULT_THRESHOLDS;
use domain::id::TeamId;
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::{Clash, Invalid};
use serde_json::Value;

/// `GET /api/channels`
pub async fn list(call: &Call, asked: Asked<ChannelQuery>) -> Answer<Page<ChannelView>> {
    let teams = call.caller()?.teams_for(Action::ReadChannel);
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => ("", ""),
        Some(Cursor::Text(name, id)) => (name.as_str(), id.as_str()),
        Some(Cursor::Time(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let teams = teams.as_ref().map(to_json).transpose()?;
    let items = store::list(&call.db()?, teams.as_deref(), after, limit + 1).await?;
    respond(page(items, limit, |channel| Cursor::Text(channel.name.clone(), channel.id.clone())))
}

/// `GET /api/channels/{id}`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<ChannelView> {
    let Stored { view, .. } = find(call, &call.db()?, call.caller()?).await?;
    respond_versioned(view.version, view)
}

fn subject(team: Option<&TeamId>) -> Subject<'_> {
    Subject { team, created_by: None }
}

/// Finds the channel that the path names, if the caller may know of it. A channel that is not there, and one of a team
/// that the caller does not see, look the same.
async fn find(call: &Call, db: &Db, caller: &Caller) -> Result<Stored, Failure> {
    let channel = store::get(db, call.id()).await?.ok_or(ApiError::NotFound)?;
    authorize(caller, Action::ReadChannel, subject(channel.view.team_id.as_ref()))?;
    Ok(channel)
}

fn attempt<'a>(deed: Deed, id: &'a str, team: Option<&'a TeamId>) -> Attempt<'a> {
    Attempt { deed, id: Some(id), team: team.map(TeamId::as_str) }
}

async fn seal(call: &Call, id: &str, receiver: &Receiver, address: String) -> Result<Sealed, Failure> {
    let keys = &call.config.credential_keys;
    let text = receiver::seal(id, receiver, keys).await?.to_string();
    Ok(Sealed { kind: receiver.kind, address, text, under: keys.first().fingerprint() })
}

/// `POST /api/channels`
pub async fn create(call: &Call, asked: Asked<ChannelRequest>) -> Answer<ChannelView> {
    let caller = call.caller()?;
    let request = asked.read(call)?;
    let (id, team) = (new_id("chn_")?, request.team_id.clone());
    let attempt = attempt(Deed::CreateChannel, &id, team.as_ref());
    let grant = call.authorize(caller, subject(team.as_ref()), attempt)?;
    let Checked { request, receiver } = request.validate(None, call.config.addresses)?;
    let Some((receiver, address)) = receiver else { return Err(Failure::field("target", Invalid::Missing)) };
    let db = call.db()?;
    // Callers limited to their own teams were already refused with 404 above.
    if let Some(team) = &team
        && tokens::team_bounds(&db, team).await?.is_none()
    {
        return Err(Failure::field("team_id", Invalid::NoTeam));
    }
    let sealed = seal(call, &id, &receiver, address.clone()).await?;
    let view = ChannelView {
        id: id.clone(),
        name: request.name.unwrap_or_default(),
        team_id: request.team_id,
        kind: sealed.kind,
        address,
        events: request.events.unwrap_or_default(),
        thresholds: request.thresholds.unwrap_or_else(|| DEFAULT_THRESHOLDS.to_vec()),
        language: request.language.unwrap_or_default(),
        enabled: request.enabled.unwrap_or(true),
        failing_since: None,
        created_by: Some(caller.user.clone()),
        created_at: call.now,
        updated_at: call.now,
        version: 1,
    };
    let insert = store::insert(&db, &grant, &view, &sealed)?;
    let change = Change::new(call, &db, &grant).write([insert]).deed(attempt, None, snapshot(&view));
    if !change.commit().await? {
        return Err(Failure::conflict("team_id", Clash::TooManyChannels { most: MAX_CHANNELS }));
    }
    respond_versioned(view.version, view)
}

/// `PUT /api/channels/{id}`
pub async fn update(call: &Call, asked: Asked<ChannelRequest>) -> Answer<ChannelView> {
    let (caller, db) = (call.caller()?, call.db()?);
    let Stored { view: before, .. } = found(call, &db).await?;
    let attempt = attempt(Deed::UpdateChannel, &before.id, before.team_id.as_ref());
    let grant = call.authorize(caller, subject(before.team_id.as_ref()), attempt)?;
    let Checked { request, receiver } = asked.read(call)?.validate(Some(&before), call.config.addresses)?;
    check_if_match(call, before.version)?;
    let sealed = match receiver {
        Some((receiver, address)) => Some(seal(call, &before.id, &receiver, address).await?),
        None => None,
    };
    let was = before.clone();
    let after = ChannelView {
        name: request.name.unwrap_or(was.name),
        kind: sealed.as_ref().map_or(was.kind, |sealed| sealed.kind),
        address: sealed.as_ref().map_or(was.address, |sealed| sealed.address.clone()),
        events: request.events.unwrap_or(was.events),
        thresholds: request.thresholds.unwrap_or(was.thresholds),
        language: request.language.unwrap_or(was.language),
        enabled: request.enabled.unwrap_or(was.enabled),
        ..was
    };
    let update = store::update(&db, &grant, &after, sealed.as_ref(), call.now)?;
    let mut recorded = snapshot(&after);
    if let (Some(_), Some(Value::Object(fields))) = (&sealed, &mut recorded) {
        // Its secret, and most of its address, are in neither snapshot.
        fields.insert("receiver_replaced".to_owned(), true.into());
    }
    let change = Change::new(call, &db, &grant).write([update]).deed(attempt, snapshot(&before), recorded);
    if !change.commit().await? {
        return Err(overtaken(call));
    }
    let view = found(call, &db).await?.view;
    respond_versioned(view.version, view)
}

/// Finds the channel before its handler authorises the change, which records a refusal.
async fn found(call: &Call, db: &Db) -> Result<Stored, Failure> {
    Ok(store::get(db, call.id()).await?.ok_or(ApiError::NotFound)?)
}

/// `DELETE /api/channels/{id}`
pub async fn delete(call: &Call, _: Asked<()>) -> Answer<ChannelView> {
    let (caller, db) = (call.caller()?, call.db()?);
    let Stored { view, .. } = found(call, &db).await?;
    let attempt = attempt(Deed::DeleteChannel, &view.id, view.team_id.as_ref());
    let grant = call.authorize(caller, subject(view.team_id.as_ref()), attempt)?;
    check_if_match(call, view.version)?;
    let delete = store::delete(&db, &grant, &view.id, condition(call, view.version))?;
    let change = Change::new(call, &db, &grant).write([delete]).deed(attempt, snapshot(&view), None);
    if !change.commit().await? {
        return Err(overtaken(call));
    }
    respond(view)
}

/// `POST /api/channels/{id}/test`. It is sent at once and once, so that the person at the screen sees the response.
pub async fn test(call: &Call, _: Asked<()>) -> Answer<Delivery> {
    let (caller, db) = (call.caller()?, call.db()?);
    let Stored { view, sealed } = found(call, &db).await?;
    let attempt = attempt(Deed::TestChannel, &view.id, view.team_id.as_ref());
    let grant = call.authorize(caller, subject(view.team_id.as_ref()), attempt)?;
    let alert = Alert {
        event: Event::Test,
        subject: view.id.clone(),
        team: view.team_id.clone(),
        details: serde_json::json!({ "name": view.name }),
        at: call.now,
    };
    let id = new_id("msg_")?;
    let message = receiver::message(&call.config, &alert, &view.id, 0, view.language);
    let tried = receiver::send(&call.config, &view.id, &sealed, &message, &id).await;
    let is_sent = tried.status.is_some_and(|status| (200..300).contains(&status));
    let delivery = Delivery {
        id,
        event: Event::Test,
        subject: view.id.clone(),
        more: 0,
        state: if is_sent { DeliveryState::Sent } else { DeliveryState::Failed },
        due_at: call.now,
        attempts: 1,
        next_at: None,
        tried_at: Some(call.now),
        status: tried.status,
        response: Some(tried.response),
    };
    store::note_test(&db, &grant, &view.id, &delivery, &alerts::written(&alert)).await?;
    respond(delivery)
}

/// `GET /api/channels/{id}/deliveries`
pub async fn deliveries(call: &Call, asked: Asked<ChannelQuery>) -> Answer<Page<Delivery>> {
    let db = call.db()?;
    let Stored { view, .. } = find(call, &db, call.caller()?).await?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, id)) => Some((*at, id.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let items = store::deliveries(&db, &view.id, after, limit + 1).await?;
    respond(page(items, limit, |delivery| Cursor::Time(delivery.due_at, delivery.id.clone())))
}
