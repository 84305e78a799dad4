//! People and their roles.

use super::{Db, Param, StoreError, audit, params, sql, to_json};
use contract::audit::Deed;
use contract::people::{PersonView, TeamRole};
use domain::id::{TeamId, UserId};
use domain::people::role::{Membership, Role};
use domain::time::UnixMs;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct Row {
    user_id: Option<String>,
    email: Option<String>,
    email_verified: Option<u8>,
    deleted_at: Option<UnixMs>,
    clerk_updated_at: Option<UnixMs>,
    asked_at: Option<UnixMs>,
    team_id: Option<String>,
    role: Option<Role>,
    invited: u8,
}

/// A person's record in D1.
#[derive(Debug)]
pub struct Person {
    pub is_known: bool,
    pub is_deleted: bool,
    /// Whether Clerk has described them.
    pub is_described: bool,
    /// The time at which Clerk was last asked about them.
    pub asked_at: Option<UnixMs>,
    /// The address, only if it is verified.
    pub email: Option<String>,
    pub memberships: Vec<Membership>,
    /// The verified address, if an invitation waits for it.
    pub invited: Option<String>,
}

pub async fn load(db: &Db, user: &UserId, now: UnixMs) -> Result<Person, StoreError> {
    let rows: Vec<Row> = db.rows(db.statement(sql!("person_load"), params![user.as_str(), now])?).await?;
    let first = rows.first();
    Ok(Person {
        is_known: first.is_some_and(|r| r.user_id.is_some()),
        invited: first.filter(|r| r.invited == 1).and_then(|r| r.email.clone()),
        is_deleted: first.is_some_and(|r| r.deleted_at.is_some()),
        is_described: first.is_some_and(|r| r.email.is_some() || r.clerk_updated_at.is_some_and(|at| at > 0)),
        asked_at: first.and_then(|r| r.asked_at),
        email: first.filter(|r| r.email_verified == Some(1)).and_then(|r| r.email.clone()),
        memberships: rows
            .into_iter()
            .filter_map(|r| Some(Membership { team: TeamId::from(r.team_id?), role: r.role? }))
            .collect(),
    })
}

/// Stores a person by id alone; the rest follows when it is known.
pub async fn insert(db: &Db, user: &UserId, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("person_insert"), params![user.as_str(), now])?]).await?;
    Ok(())
}

/// Claims the Clerk lookup for this person. Returns false if another request has claimed it since `before`.
pub async fn claim_asking(db: &Db, user: &UserId, now: UnixMs, before: UnixMs) -> Result<bool, StoreError> {
    db.change(vec![db.statement(sql!("person_asked"), params![user.as_str(), now, before])?]).await
}

/// Makes a person an ADMIN of the core team, as long as the team has none. The configuration names this person, so the
/// deployment itself authorises it and no [`Grant`] is required. Returns whether they are an ADMIN now.
///
/// [`Grant`]: domain::people::grant::Grant
pub async fn insert_core_admin(
    db: &Db,
    user: &UserId,
    now: UnixMs,
    request_id: &str,
) -> Result<bool, StoreError> {
    let entry = audit::Entry {
        team: Some(domain::id::CORE_TEAM),
        after: Some(serde_json::json!({ "role": Role::Admin })),
        ..audit::Entry::of_system(Deed::BootstrapAdmin, user.as_str(), now, request_id)
    };
    let params: &[Param] = params![user.as_str(), now];
    let statements =
        vec![db.statement(sql!("core_admin_insert"), params)?, audit::insert_if_changed(db, &entry)?];
    db.change(statements).await
}

#[derive(Debug, Deserialize)]
struct PersonRow {
    id: UserId,
    email: Option<String>,
    name: Option<String>,
    avatar_url: Option<String>,
    last_sign_in_at: Option<UnixMs>,
    created_at: UnixMs,
}

impl PersonRow {
    fn view(self, memberships: Vec<TeamRole>) -> PersonView {
        PersonView {
            id: self.id,
            email: self.email,
            name: self.name,
            avatar_url: self.avatar_url,
            memberships,
            last_sign_in_at: self.last_sign_in_at,
            created_at: self.created_at,
        }
    }
}

/// Loads the roles of people (`ids`) in `teams` (JSON, `None` means all).
async fn memberships(
    db: &Db,
    ids: &[&UserId],
    teams: Option<&str>,
) -> Result<BTreeMap<UserId, Vec<TeamRole>>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        user_id: UserId,
        #[serde(flatten)]
        role: TeamRole,
    }
    let statement = db.statement(sql!("memberships_of"), params![&to_json(ids)?, teams])?;
    let rows: Vec<Row> = db.rows(statement).await?;
    let mut by_person: BTreeMap<UserId, Vec<TeamRole>> = BTreeMap::new();
    for row in rows {
        by_person.entry(row.user_id).or_default().push(row.role);
    }
    Ok(by_person)
}

/// The people to list, and the position to start from.
#[derive(Debug)]
pub struct ListFilter<'a> {
    /// Lists members of these teams (JSON), and shows their roles in them; `None` means everybody, with all
    /// roles.
    pub teams: Option<&'a str>,
    pub search: Option<&'a str>,
    pub team: Option<&'a str>,
    /// Time and id of the last person seen.
    pub after: Option<(UnixMs, &'a str)>,
    pub limit: u32,
}

/// Lists people, newest first.
pub async fn list(db: &Db, filter: &ListFilter<'_>) -> Result<Vec<PersonView>, StoreError> {
    let (at, id) = filter.after.unwrap_or((super::MAX_SAFE, ""));
    let params = params![filter.teams, filter.search, filter.team, at, id, filter.limit];
    let rows: Vec<PersonRow> = db.rows(db.statement(sql!("people_list"), params)?).await?;
    let ids: Vec<&UserId> = rows.iter().map(|row| &row.id).collect();
    let mut roles = memberships(db, &ids, filter.teams).await?;
    let view = |row: PersonRow| {
        let memberships = roles.remove(&row.id).unwrap_or_default();
        row.view(memberships)
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Loads a person with their roles in `teams` (JSON, `None` means all).
pub async fn get(db: &Db, id: &UserId, teams: Option<&str>) -> Result<Option<PersonView>, StoreError> {
    let row: Option<PersonRow> = db.first(db.statement(sql!("person_view"), params![id.as_str()])?).await?;
    let Some(row) = row else { return Ok(None) };
    let roles = memberships(db, &[id], teams).await?.remove(id).unwrap_or_default();
    Ok(Some(row.view(roles)))
}
