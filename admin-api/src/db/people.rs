//! People and their roles.

use super::{Db, Param, StoreError, audit, params, sql};
use domain::id::{TeamId, UserId};
use domain::role::{Membership, Role};
use domain::time::UnixMs;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Row {
    user_id: Option<String>,
    email: Option<String>,
    email_verified: Option<u8>,
    deleted_at: Option<UnixMs>,
    team_id: Option<String>,
    role: Option<Role>,
}

/// A person as D1 knows him.
#[derive(Debug)]
pub struct Person {
    pub is_known: bool,
    pub is_deleted: bool,
    /// Only where it is verified.
    pub email: Option<String>,
    pub memberships: Vec<Membership>,
}

pub async fn load(db: &Db, user: &UserId) -> Result<Person, StoreError> {
    let rows: Vec<Row> = db.rows(db.statement(sql!("person_load"), params![user.as_str()])?).await?;
    let first = rows.first();
    Ok(Person {
        is_known: first.is_some_and(|r| r.user_id.is_some()),
        is_deleted: first.is_some_and(|r| r.deleted_at.is_some()),
        email: first.filter(|r| r.email_verified == Some(1)).and_then(|r| r.email.clone()),
        memberships: rows
            .into_iter()
            .filter_map(|r| Some(Membership { team: TeamId::from(r.team_id?), role: r.role? }))
            .collect(),
    })
}

/// Takes in a person by id alone; the rest comes when it is known.
pub async fn insert(db: &Db, user: &UserId, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("person_insert"), params![user.as_str(), now])?]).await?;
    Ok(())
}

/// Makes a person whom the configuration names an admin of the core team. No [`Grant`] stands
/// behind it: the deployment itself says so.
///
/// [`Grant`]: domain::role::Grant
pub async fn insert_core_admin(
    db: &Db,
    user: &UserId,
    now: UnixMs,
    request_id: &str,
) -> Result<(), StoreError> {
    let entry = audit::Entry {
        at: now,
        actor: "system",
        action: "bootstrap-admin",
        refused: false,
        entity: "user",
        entity_id: Some(user.as_str()),
        team: Some(domain::id::CORE_TEAM),
        before: None,
        after: Some(serde_json::json!({ "role": Role::Admin })),
        client_ip: None,
        request_id,
    };
    let params: &[Param] = params![user.as_str(), now];
    let statements =
        vec![db.statement(sql!("core_admin_insert"), params)?, audit::insert_if_changed(db, &entry)?];
    db.batch(statements).await?;
    Ok(())
}
