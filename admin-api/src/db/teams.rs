//! Teams and their members.

use super::{
    Db, Param, Statement, StoreError, column_or_note, limits, params, refuse_unreadable, sql, to_json,
};
use contract::people::Member;
use contract::teams::{NewTeam, TeamView, TeamZone};
use domain::access::scope::Scope;
use domain::id::{TeamId, UserId};
use domain::people::grant::{Assign, CreateTeam, DeleteTeam, EditTeam, Grant};
use domain::people::role::{Caller, Role};
use domain::time::UnixMs;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct TeamRow {
    id: TeamId,
    name: String,
    description: Option<String>,
    color: Option<String>,
    icon: Option<String>,
    scope_cap: Option<String>,
    limits: Option<String>,
    budget: Option<String>,
    zone: Option<String>,
    members: u32,
    tokens: u32,
    your_role: Option<Role>,
    created_at: UnixMs,
    updated_at: UnixMs,
    version: u64,
}

impl From<TeamRow> for TeamView {
    fn from(row: TeamRow) -> Self {
        let mut unreadable = vec![];
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            color: row.color,
            icon: row.icon,
            // An unreadable cap admits nothing.
            scope_cap: row.scope_cap.map(|text| column_or_note(&text, "scope_cap", &mut unreadable)),
            limits: column_or_note(row.limits.as_deref().unwrap_or("{}"), "limits", &mut unreadable),
            budget: column_or_note(row.budget.as_deref().unwrap_or("{}"), "budget", &mut unreadable),
            zone: column_or_note(row.zone.as_deref().unwrap_or("null"), "zone", &mut unreadable),
            unreadable,
            members: row.members,
            tokens: row.tokens,
            your_role: row.your_role,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Lists teams by name; `teams` (JSON, `None` means all) are those that the caller may see.
pub async fn list(
    db: &Db,
    caller: &Caller,
    teams: Option<&str>,
    search: Option<&str>,
    after: (&str, &str),
    limit: u32,
) -> Result<Vec<TeamView>, StoreError> {
    let (name, id) = after;
    let params = params![teams, search, name, id, limit, caller.user.as_str()];
    let rows: Vec<TeamRow> = db.rows(db.statement(sql!("teams_list"), params)?).await?;
    Ok(rows.into_iter().map(TeamView::from).collect())
}

pub async fn get(db: &Db, caller: &Caller, id: &str) -> Result<Option<TeamView>, StoreError> {
    let row: Option<TeamRow> =
        db.first(db.statement(sql!("team_view"), params![id, caller.user.as_str()])?).await?;
    Ok(row.map(TeamView::from))
}

fn cap_json(cap: Option<&[Scope]>) -> Result<Option<String>, StoreError> {
    cap.map(to_json).transpose()
}

pub fn insert(
    db: &Db,
    _: &Grant<CreateTeam>,
    team: &NewTeam,
    zone: Option<&TeamZone>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (budget, zone) = (limits::write(&team.budget)?, zone.map(to_json).transpose()?);
    let cap = cap_json(team.scope_cap.as_deref())?;
    let limits = limits::write(&team.limits)?;
    let params: &[Param] = params![
        team.id.as_str(),
        &team.name,
        team.description.as_ref(),
        team.color.as_ref(),
        team.icon.as_ref(),
        cap.as_ref(),
        limits.as_ref(),
        budget.as_ref(),
        zone.as_ref(),
        now,
    ];
    db.statement(sql!("team_insert"), params)
}

/// Writes the view's fields if the team still has the same version.
pub fn update(db: &Db, _: &Grant<EditTeam>, team: &TeamView, now: UnixMs) -> Result<Statement, StoreError> {
    refuse_unreadable(&team.unreadable)?;
    let (budget, zone) = (limits::write(&team.budget)?, team.zone.as_ref().map(to_json).transpose()?);
    let cap = team.scope_cap.as_ref().map(to_json).transpose()?;
    let limits = limits::write(&team.limits)?;
    let params: &[Param] = params![
        team.id.as_str(),
        &team.name,
        team.description.as_ref(),
        team.color.as_ref(),
        team.icon.as_ref(),
        cap.as_ref(),
        limits.as_ref(),
        budget.as_ref(),
        zone.as_ref(),
        now,
        team.version,
    ];
    db.statement(sql!("team_update"), params)
}

/// Deletes the team. If `version` is given, it deletes the team only at that version.
pub fn delete(
    db: &Db,
    _: &Grant<DeleteTeam>,
    team: &TeamId,
    version: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("team_delete"), params![team.as_str(), now, version])
}

/// Lists members, highest role first, each with the rank that determines the order.
pub async fn members(
    db: &Db,
    team: &TeamId,
    after: (i64, &str),
    limit: u32,
    now: UnixMs,
) -> Result<Vec<(i64, Member)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        rank: i64,
        #[serde(flatten)]
        member: Member,
    }
    let params = params![team.as_str(), after.0, after.1, limit, now];
    let rows: Vec<Row> = db.rows(db.statement(sql!("members_list"), params)?).await?;
    Ok(rows.into_iter().map(|row| (row.rank, row.member)).collect())
}

/// A change of a person's role in a team.
#[derive(Clone, Copy, Debug)]
pub struct Assignment<'a> {
    pub user: &'a UserId,
    pub team: &'a TeamId,
    /// The role when permission was given. The write happens only if it is still the same.
    pub present: Option<Role>,
    pub new: Option<Role>,
}

/// Makes the assignment if the person's role is still the same.
pub fn assign(db: &Db, _: &Grant<Assign>, change: Assignment, now: UnixMs) -> Result<Statement, StoreError> {
    let (user, team) = (change.user.as_str(), change.team.as_str());
    match (change.present.map(Role::as_str), change.new.map(Role::as_str)) {
        (None, new) => db.statement(sql!("membership_insert"), params![user, team, new, now]),
        (Some(present), Some(new)) => {
            db.statement(sql!("membership_update"), params![user, team, present, new])
        }
        (Some(present), None) => db.statement(sql!("membership_delete"), params![user, team, present]),
    }
}

/// Lists the teams whose clocks have been changed, each with its zone as it is stored.
pub async fn zones_due(db: &Db, now: UnixMs) -> Result<Vec<(TeamId, String)>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: TeamId,
        zone: String,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("teams_zone_due"), params![now])?).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.zone)).collect())
}

/// Writes a team's zone if it is still `before`, and has the team's tokens published.
pub fn set_zone(
    db: &Db,
    team: &TeamId,
    before: &str,
    zone: &TeamZone,
    now: UnixMs,
) -> Result<Vec<Statement>, StoreError> {
    Ok(vec![
        db.statement(sql!("team_zone_update"), params![team.as_str(), &to_json(zone)?, before])?,
        db.statement(sql!("tokens_touch_team"), params![team.as_str(), now])?,
        db.statement(sql!("outbox_insert_team"), params![team.as_str(), now, now])?,
    ])
}
