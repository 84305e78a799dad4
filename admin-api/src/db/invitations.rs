//! Invitations, from their creation to their acceptance, revocation or expiry.

use super::{Db, Statement, StoreError, audit, from_json, params, readable, sql, to_json, unattended};
use contract::audit::Deed;
use contract::invitations::{InvitationState, InvitedTeam};
use contract::people::TeamRole;
use domain::id::{TeamId, UserId};
use domain::json;
use domain::people::clerk::ClerkUser;
use domain::people::grant::{Assign, Grant};
use domain::time::UnixMs;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    email: String,
    state: InvitationState,
    clerk_id: Option<String>,
    sent_at: Option<UnixMs>,
    invited_by: UserId,
    created_at: UnixMs,
    expires_at: UnixMs,
    accepted_at: Option<UnixMs>,
    last_error: Option<String>,
    /// JSON array.
    teams: String,
}

/// A stored invitation.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub id: String,
    pub email: String,
    pub teams: Vec<TeamRole>,
    pub state: InvitationState,
    pub clerk_id: Option<String>,
    pub sent_at: Option<UnixMs>,
    pub invited_by: UserId,
    pub created_at: UnixMs,
    pub expires_at: UnixMs,
    pub accepted_at: Option<UnixMs>,
    pub last_error: Option<String>,
}

impl TryFrom<Row> for Invitation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            // A newer version's role is left out: it would grant nothing.
            teams: from_json::<Vec<serde_json::Value>>(&row.teams)?
                .into_iter()
                .filter_map(|team| json::read(team).ok())
                .collect(),
            id: row.id,
            email: row.email,
            state: row.state,
            clerk_id: row.clerk_id,
            sent_at: row.sent_at,
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            accepted_at: row.accepted_at,
            last_error: row.last_error,
        })
    }
}

pub async fn get(db: &Db, id: &str) -> Result<Option<Invitation>, StoreError> {
    let row: Option<Row> = db.first(db.statement(sql!("invitation_get"), params![id])?).await?;
    row.map(Invitation::try_from).transpose()
}

/// Lists invitations into any of `teams` (JSON, `None` means all), newest first.
pub async fn list(
    db: &Db,
    teams: Option<&str>,
    state: Option<InvitationState>,
    after: Option<(UnixMs, &str)>,
    limit: u32,
) -> Result<Vec<Invitation>, StoreError> {
    let (at, id) = after.unwrap_or((super::MAX_SAFE, ""));
    let params = params![teams, state.map(InvitationState::as_str), at, id, limit];
    let rows: Vec<Row> = db.rows(db.statement(sql!("invitations_list"), params)?).await?;
    Ok(readable(rows))
}

/// Inserts the invitation and its teams.
pub fn insert(
    db: &Db,
    grant: &Grant<Assign>,
    id: &str,
    email: &str,
    teams: &[InvitedTeam],
    now: UnixMs,
    expires_at: UnixMs,
) -> Result<[Statement; 2], StoreError> {
    let params = params![id, email, grant.actor().as_str(), now, expires_at];
    Ok([
        db.statement(sql!("invitation_insert"), params)?,
        db.statement(sql!("invitation_teams_insert"), params![id, &to_json(teams)?])?,
    ])
}

/// Accepts all pending invitations to the addresses: a person whose verified address is among them becomes a
/// member, with an audit entry for each membership. Every invitation is accepted by this function.
///
/// First it revokes the parts of invitations that their inviters could no longer give. If `seen_by` (JSON teams) is
/// given, only people in one of these teams become members; `None` means everybody.
pub fn accept(
    db: &Db,
    emails: &[&str],
    seen_by: Option<&str>,
    now: UnixMs,
    request_id: &str,
) -> Result<Vec<Statement>, StoreError> {
    let mut statements = lapse(db, Concerned::Invited(emails), now, request_id)?;
    let emails = &to_json(emails)?;
    statements.extend([
        db.statement(sql!("accept_audit"), params![emails, now, request_id, seen_by])?,
        db.statement(sql!("accept_memberships"), params![emails, now, seen_by])?,
        db.statement(sql!("accept_done"), params![emails, now, seen_by])?,
    ]);
    Ok(statements)
}

/// The open invitations whose inviters are checked.
#[derive(Clone, Copy, Debug)]
pub enum Concerned<'a> {
    /// Invitations to these addresses.
    Invited(&'a [&'a str]),
    /// Invitations that this person made.
    Inviter(&'a UserId),
}

/// Revokes the parts of open invitations that their inviters could no longer give, with an audit entry for each
/// part. If no part is left, it revokes the whole invitation.
pub fn lapse(
    db: &Db,
    concerned: Concerned,
    now: UnixMs,
    request_id: &str,
) -> Result<Vec<Statement>, StoreError> {
    let (emails, inviters) = match concerned {
        Concerned::Invited(emails) => (to_json(emails)?, "[]".to_owned()),
        Concerned::Inviter(person) => ("[]".to_owned(), to_json(&[person])?),
    };
    let (emails, inviters) = (&emails, &inviters);
    Ok(vec![
        db.statement(sql!("invitations_lapse_audit"), params![emails, inviters, now, request_id])?,
        db.statement(sql!("invitations_lapse"), params![emails, inviters])?,
        db.statement(sql!("invitations_lapse_parts"), params![emails, inviters])?,
    ])
}

/// Removes `teams` from an open invitation that also names others. The second statement belongs at the end of
/// the batch.
pub fn revoke_parts(
    db: &Db,
    _: &Grant<Assign>,
    id: &str,
    teams: &[&TeamId],
) -> Result<(Statement, Statement), StoreError> {
    Ok((
        db.statement(sql!("invitation_part_delete"), params![id, &to_json(teams)?])?,
        db.statement(sql!("invitation_revoke_empty"), params![id])?,
    ))
}

pub fn revoke(db: &Db, _: &Grant<Assign>, id: &str) -> Result<Statement, StoreError> {
    db.statement(sql!("invitation_revoke"), params![id])
}

/// Revokes an invitation that Clerk refuses, with an entry in the audit log.
pub async fn refused(
    db: &Db,
    invitation: &str,
    why: &str,
    now: UnixMs,
    request_id: &str,
) -> Result<(), StoreError> {
    let why = domain::usage::clip(why, 500);
    let entry = audit::Entry {
        after: Some(serde_json::json!({ "reason": why })),
        ..audit::Entry::of_system(Deed::RevokeInvitation, invitation, now, request_id)
    };
    db.batch(vec![
        db.statement(sql!("invitation_refused"), params![invitation, &why, now])?,
        audit::insert_if_changed(db, &entry)?,
    ])
    .await?;
    Ok(())
}

/// Makes an invitation valid again. Its inviter is now the person who sends it again.
pub fn renew(
    db: &Db,
    grant: &Grant<Assign>,
    id: &str,
    expires_at: UnixMs,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("invitation_renew"), params![id, expires_at, now, grant.actor().as_str()])
}

pub async fn sent(db: &Db, id: &str, clerk_id: &str, now: UnixMs) -> Result<(), StoreError> {
    db.batch(vec![db.statement(sql!("invitation_sent"), params![id, clerk_id, now])?]).await?;
    Ok(())
}

pub async fn unsent(db: &Db, id: &str, cause: &str, now: UnixMs) -> Result<(), StoreError> {
    let cause = domain::usage::clip(cause, 500);
    db.batch(vec![db.statement(sql!("invitation_unsent"), params![id, now, &cause])?]).await?;
    Ok(())
}

#[derive(Debug, Deserialize)]
pub struct Due {
    pub id: String,
    pub email: String,
}

/// Finds the invitations that Clerk should send and that were not tried since `before`.
pub async fn due(db: &Db, before: UnixMs, now: UnixMs, limit: u32) -> Result<Vec<Due>, StoreError> {
    db.rows(db.statement(sql!("invitations_due"), params![before, now, limit])?).await
}

/// Stores people as Clerk describes them, and gives them the memberships to which their addresses were invited.
///
/// It takes two statements for each person and a few for all of them: D1 allows 1,000 in one call.
pub fn put_people(
    db: &Db,
    people: &[ClerkUser],
    now: UnixMs,
    request_id: &str,
) -> Result<Vec<Statement>, StoreError> {
    let mut statements = Vec::new();
    for user in people {
        let name = user.name();
        let params = params![
            user.id.as_str(),
            user.email(),
            user.is_verified(),
            name.as_ref(),
            user.avatar_url(),
            user.last_sign_in_at,
            if user.created_at > 0 { user.created_at } else { now },
            now,
            user.updated_at,
        ];
        statements.push(db.statement(sql!("person_put"), params)?);
        if let Some(email) = user.email() {
            statements.push(db.statement(sql!("email_moved"), params![user.id.as_str(), email])?);
        }
    }
    let emails: Vec<&str> = people.iter().filter_map(ClerkUser::email).collect();
    if !emails.is_empty() {
        statements.extend(accept(db, &emails, None, now, request_id)?);
    }
    Ok(statements)
}

/// Marks a person as deleted, opens notifications for their live tokens, removes their memberships, and revokes the
/// invitations that they could make only with these memberships. The order matters: the last ADMIN of a team may only
/// lose that role once they are deleted.
pub fn delete_person(
    db: &Db,
    id: &UserId,
    now: UnixMs,
    request_id: &str,
) -> Result<Vec<Statement>, StoreError> {
    let mut statements = vec![
        db.statement(sql!("person_delete"), params![id.as_str(), now])?,
        unattended::open(db, id, unattended::Lost::Everything, now)?,
        db.statement(sql!("memberships_delete_audit"), params![id.as_str(), now, request_id])?,
        db.statement(sql!("memberships_delete"), params![id.as_str()])?,
    ];
    statements.extend(lapse(db, Concerned::Inviter(id), now, request_id)?);
    Ok(statements)
}

pub async fn is_webhook_known(db: &Db, id: &str) -> Result<bool, StoreError> {
    #[derive(Deserialize)]
    struct Row {}
    let row: Option<Row> = db.first(db.statement(sql!("webhook_find"), params![id])?).await?;
    Ok(row.is_some())
}

pub fn insert_webhook(db: &Db, id: &str, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("webhook_insert"), params![id, now])
}
