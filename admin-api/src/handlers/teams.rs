//! `/api/teams`

use crate::change::Change;
use crate::db::{Db, StoreError, outbox, teams as store, tokens};
use crate::dry_run;
use crate::error::Failure;
use crate::handlers::{check_if_match, condition, overtaken, visible_teams};
use crate::paging::{Cursor, check_limit, page};
use crate::publish::publish_rows;
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_after, respond_versioned};
use crate::zone;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::people::Member;
use contract::teams::{
    CreateTeamRequest, MemberQuery, TeamChange, TeamChanged, TeamQuery, TeamView, TeamZone, UpdateTeamRequest,
};
use contract::{Page, Propagation};
use domain::id::TeamId;
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::{Clash, Invalid};
use domain::stored::still_unreadable;

/// Tokens that a change of cap or limits publishes at once; the cron publishes the others within a minute.
const PUBLISHED_AT_ONCE: u32 = 50;

/// `GET /api/teams`
pub async fn list(call: &Call, asked: Asked<TeamQuery>) -> Answer<Page<TeamView>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => ("", ""),
        Some(Cursor::Text(name, id)) => (name.as_str(), id.as_str()),
        Some(Cursor::Time(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let teams = visible_teams(caller, None)?;
    let db = call.db()?;
    let items = store::list(&db, caller, teams.as_deref(), query.search.as_deref(), after, limit + 1).await?;
    respond(page(items, limit, |team| Cursor::Text(team.name.clone(), team.id.to_string())))
}

/// `GET /api/teams/{id}`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<TeamView> {
    let caller = call.caller()?;
    let team = find(call, &call.db()?, caller).await?;
    respond_versioned(team.version, team)
}

/// Finds the team that the path names, if the caller may see it.
async fn find(call: &Call, db: &Db, caller: &Caller) -> Result<TeamView, Failure> {
    authorize(caller, Action::ReadTeam, Subject::team(&TeamId::from(call.id())))?;
    Ok(store::get(db, caller, call.id()).await?.ok_or(ApiError::NotFound)?)
}

/// `GET /api/teams/{id}/members`
pub async fn members(call: &Call, asked: Asked<MemberQuery>) -> Answer<Page<Member>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => (-1, ""),
        Some(Cursor::Time(rank, id)) => (*rank, id.as_str()),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let db = call.db()?;
    let team = find(call, &db, caller).await?;
    let rows = store::members(&db, &team.id, after, limit + 1, call.now).await?;
    let Page { items, next_cursor, total } =
        page(rows, limit, |(rank, member)| Cursor::Time(*rank, member.id.to_string()));
    respond(Page { items: items.into_iter().map(|(_, member)| member).collect(), next_cursor, total })
}

fn attempt(deed: Deed, id: &str) -> Attempt<'_> {
    Attempt { deed, id: Some(id), team: Some(id) }
}

/// Makes a team's snapshot for the audit log.
fn snapshot(team: &TeamView) -> serde_json::Value {
    serde_json::json!({
        "name": team.name, "description": team.description, "color": team.color, "icon": team.icon,
        "scope_cap": team.scope_cap, "limits": team.limits, "budget": team.budget,
        "zone": team.zone.as_ref().map(|zone| &zone.name),
    })
}

/// `POST /api/teams`
pub async fn create(call: &Call, asked: Asked<CreateTeamRequest>) -> Answer<TeamView> {
    let caller = call.caller()?;
    let request = asked.read(call)?;
    let id = request.id.clone();
    let attempt = attempt(Deed::CreateTeam, id.as_str());
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let team = request.validate()?;
    let db = call.db()?;
    let after = serde_json::json!({
        "name": team.name, "description": team.description, "color": team.color, "icon": team.icon,
        "scope_cap": team.scope_cap, "limits": team.limits, "budget": team.budget, "zone": team.zone,
    });
    let zone = team.zone.as_deref().map(|name| zone_named(call, name)).transpose()?;
    let insert = store::insert(&db, &grant, &team, zone.as_ref(), call.now)?;
    let change = Change::new(call, &db, &grant).write([insert]).deed(attempt, None, Some(after));
    if !change.commit().await? {
        return Err(Failure::conflict("id", Clash::IdTaken));
    }
    let view = store::get(&db, caller, id.as_str()).await?.ok_or(ApiError::NotFound)?;
    respond_versioned(view.version, view)
}

/// `PUT /api/teams/{id}`
///
/// 1. Read and check the fields that are given; check `If-Match`.
/// 2. Require the platform admin for a scope cap, limits, a budget and a time zone.
/// 3. Write if the version is still the one that was read. A change of these also increments the version of
///    every token of the team and puts each into the outbox, in the same transaction.
/// 4. Publish the first of these tokens at once.
pub async fn update(call: &Call, asked: Asked<UpdateTeamRequest>) -> Answer<TeamChanged> {
    let caller = call.caller()?;
    let db = call.db()?;
    let before = find(call, &db, caller).await?;
    let attempt = attempt(Deed::UpdateTeam, before.id.as_str());
    let subject = Subject::team(&before.id);
    let grant = call.authorize(caller, subject, attempt)?;
    let change = asked.read(call)?.validate()?;
    // Only these fields can affect tokens.
    let sets_bounds = change.scope_cap.is_some()
        || change.limits.is_some()
        || change.budget.is_some()
        || change.zone.is_some();
    let zone = match &change.zone {
        Some(Some(name)) => Some(Some(zone_named(call, name)?)),
        Some(None) => Some(None),
        None => None,
    };
    let bounds_grant = if sets_bounds { Some(call.authorize(caller, subject, attempt)?) } else { None };
    check_if_match(call, before.version)?;
    let after = changed(before.clone(), change, zone);
    // A repaired value can equal the empty value that was shown before. It still counts as a change, because
    // the tokens could not be published with the unreadable one.
    let is_other = after.scope_cap != before.scope_cap
        || after.limits != before.limits
        || after.budget != before.budget
        || after.zone != before.zone
        || after.unreadable != before.unreadable;
    let bounds_grant = bounds_grant.filter(|_| is_other);
    let update = store::update(&db, &grant, &after, call.now)?;
    if call.is_dry_run() {
        return dry_run::of_team(call, &db, &after).await;
    }
    let mut change = Change::new(call, &db, &grant).write([update]).deed(
        attempt,
        Some(snapshot(&before)),
        Some(snapshot(&after)),
    );
    if let Some(grant) = &bounds_grant {
        change = change.then([
            tokens::touch_team(&db, grant, &before.id, call.now)?,
            outbox::insert_team(&db, grant, &before.id, call.now)?,
        ]);
    }
    if !change.commit().await? {
        return Err(overtaken(call));
    }
    let propagation = if bounds_grant.is_some() {
        publish_team(call, &db, &before.id).await?
    } else {
        Propagation::Published
    };
    let team = find(call, &db, caller).await?;
    respond_after(propagation, Some(team.version), TeamChanged { team, propagation })
}

/// Finds a time zone that a request names.
fn zone_named(call: &Call, name: &str) -> Result<TeamZone, Failure> {
    zone::of_team(name, call.now).ok_or_else(|| Failure::field("zone", Invalid::Zone))
}

fn changed(team: TeamView, change: TeamChange, zone: Option<Option<TeamZone>>) -> TeamView {
    let texts = |cap: Vec<domain::access::scope::Scope>| cap.iter().map(ToString::to_string).collect();
    let given = [
        ("scope_cap", change.scope_cap.is_some()),
        ("limits", change.limits.is_some()),
        ("budget", change.budget.is_some()),
        ("zone", zone.is_some()),
    ];
    TeamView {
        unreadable: still_unreadable(team.unreadable, &given),
        name: change.name.unwrap_or(team.name),
        description: change.description.unwrap_or(team.description),
        color: change.color.unwrap_or(team.color),
        icon: change.icon.unwrap_or(team.icon),
        scope_cap: change.scope_cap.map_or(team.scope_cap, |cap| cap.map(texts)),
        limits: change.limits.map(|limits| limits.over(&team.limits)).unwrap_or(team.limits),
        budget: change.budget.map(|budget| budget.over(&team.budget)).unwrap_or(team.budget),
        zone: zone.unwrap_or(team.zone),
        ..team
    }
}

async fn publish_team(call: &Call, db: &Db, team: &TeamId) -> Result<Propagation, StoreError> {
    let rows = outbox::of_team(db, team, PUBLISHED_AT_ONCE).await?;
    publish_rows(&call.env, db, rows, &call.request_id).await;
    let is_pending = outbox::is_team_pending(db, team).await?;
    Ok(if is_pending { Propagation::Pending } else { Propagation::Published })
}

/// `DELETE /api/teams/{id}`. A trigger checks in the same transaction that the team is empty, so nobody
/// can join in between.
pub async fn delete(call: &Call, _: Asked<()>) -> Answer<TeamView> {
    let caller = call.caller()?;
    let db = call.db()?;
    let before = find(call, &db, caller).await?;
    let attempt = attempt(Deed::DeleteTeam, before.id.as_str());
    let grant = call.authorize(caller, Subject::team(&before.id), attempt)?;
    check_if_match(call, before.version)?;
    let version = condition(call, before.version);
    let change = Change::new(call, &db, &grant)
        .write([store::delete(&db, &grant, &before.id, version, call.now)?])
        .deed(attempt, Some(snapshot(&before)), None);
    match change.commit().await {
        Ok(true) => respond(before),
        Ok(false) => Err(overtaken(call)),
        Err(StoreError::Constraint(cause)) if cause.contains("team-not-empty") => Err(not_empty(&before)),
        Err(error) => Err(error.into()),
    }
}

fn not_empty(team: &TeamView) -> Failure {
    if team.id.is_core() {
        return Failure::conflict("id", Clash::CoreTeam);
    }
    Failure::conflict("id", Clash::TeamInUse)
}
