//! `/api/invitations`
//!
//! D1 comes first, Clerk after: an invitation that D1 holds gives its memberships whoever sent it, and
//! one that D1 does not hold gives none. Died in between: it is pending and not sent, and the cron
//! sends it. What Clerk refuses outright is taken back, so that nothing is left that nobody can use.

use crate::clerk::{self, ClerkError};
use crate::config::Config;
use crate::db::invitations::{self as store, Invitation};
use crate::db::{Db, Statement, StoreError, audit, to_json, tokens};
use crate::error::Failure;
use crate::handlers::people::teams_to_see;
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond};
use contract::Page;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::invitations::{
    CreateInvitationRequest, Delivery, InvitationQuery, InvitationState, InvitationView, InvitedTeam,
    VALID_MS,
};
use domain::error::FieldError;
use domain::id::TeamId;
use domain::people::grant::{Assign, Grant};
use domain::people::role::{Action, Caller, Role};
use domain::problem::{Clash, Invalid};
use domain::time::{MINUTE_MS, UnixMs};
use edge::log::{Source, log};

/// Sendings that the cron makes up for in one run.
const SENT_AT_ONCE: u32 = 20;
const RETRY_MS: i64 = 5 * MINUTE_MS;

/// `GET /api/invitations`
pub async fn list(call: &Call, asked: Asked<InvitationQuery>) -> Answer<Page<InvitationView>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, id)) => Some((*at, id.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let teams = caller.teams_for(Action::AssignJunior);
    let teams = teams.as_ref().map(to_json).transpose()?;
    let items = store::list(&call.db()?, teams.as_deref(), query.state, after, limit + 1).await?;
    let page = page(items, limit, |i| Cursor::Time(i.created_at, i.id.clone()));
    let items = page.items.into_iter().map(|invitation| view(&call.config, invitation)).collect();
    respond(Page { items, next_cursor: page.next_cursor })
}

fn view(config: &Config, invitation: Invitation) -> InvitationView {
    let delivery = match (&config.clerk_api, invitation.sent_at) {
        (_, Some(_)) => Delivery::Sent,
        (Some(_), None) => Delivery::Due,
        (None, None) => Delivery::Link,
    };
    let is_open = delivery == Delivery::Link && invitation.state == InvitationState::Pending;
    InvitationView {
        link: sign_up(config).filter(|_| is_open),
        delivery,
        id: invitation.id,
        email: invitation.email,
        teams: invitation.teams,
        state: invitation.state,
        invited_by: invitation.invited_by,
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
        accepted_at: invitation.accepted_at,
        error: invitation.last_error,
    }
}

/// Address of the UI's page to sign up.
fn sign_up(config: &Config) -> Option<String> {
    config.session.allowed_origins.first().map(|origin| format!("{origin}/sign-in"))
}

fn attempt<'a>(deed: Deed, id: Option<&'a str>, team: &'a TeamId) -> Attempt<'a> {
    Attempt { deed, id, team: Some(team.as_str()) }
}

/// Permission to give each of these roles in its team.
fn authorize_all<'a>(
    call: &Call,
    caller: &Caller,
    deed: Deed,
    id: Option<&str>,
    teams: impl Iterator<Item = (&'a TeamId, Role)>,
) -> Result<Grant<Assign>, Failure> {
    let mut grant = None;
    for (team, role) in teams {
        grant = Some(call.authorize_role(caller, team, (None, Some(role)), attempt(deed, id, team))?);
    }
    Ok(grant.ok_or(ApiError::NotFound)?)
}

/// `POST /api/invitations`
///
/// 1. Read and check; permission for each team, all of which must exist.
/// 2. The invitation, its audit entries, and at once the memberships of whoever has the address already, if the
///    caller can see them. For anybody else it waits, as it would for an address without an account: nobody is
///    told by it who has one. Their next request, or Clerk's next word of them, accepts it.
/// 3. Clerk sends it, if that is configured and nobody has accepted it yet.
pub async fn create(call: &Call, asked: Asked<CreateInvitationRequest>) -> Answer<InvitationView> {
    let caller = call.caller()?;
    let (email, teams) = asked.read(call)?.validate()?;
    let pairs = teams.iter().map(|team| (&team.team_id, team.role));
    let grant = authorize_all(call, caller, Deed::CreateInvitation, None, pairs)?;
    let db = call.db()?;
    check_teams(&db, &teams).await?;

    let id = audit::new_id("inv_")?;
    let mut statements: Vec<_> =
        store::insert(&db, &grant, &id, &email, &teams, call.now, call.now + VALID_MS)?.into();
    let client_ip = call.client_ip();
    for team in &teams {
        let entry = audit::Entry {
            after: Some(serde_json::json!({ "email": email, "role": team.role })),
            ..call.entry(
                grant.actor().as_str(),
                attempt(Deed::CreateInvitation, Some(&id), &team.team_id),
                client_ip.as_deref(),
            )
        };
        statements.push(audit::insert(&db, &entry)?);
    }
    let seen = teams_to_see(caller)?;
    statements.extend(store::accept(&db, &[&email], seen.as_deref(), call.now, &call.request_id)?);
    db.batch(statements).await?;
    send(call, &db, &id).await?;
    let invitation = store::get(&db, &id).await?.ok_or(ApiError::NotFound)?;
    respond(view(&call.config, invitation))
}

async fn check_teams(db: &Db, teams: &[InvitedTeam]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for (i, team) in teams.iter().enumerate() {
        if tokens::team_bounds(db, &team.team_id).await?.is_none() {
            errors.push(FieldError::new(format!("teams.{i}.team_id"), Invalid::NoTeam));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
}

/// Has Clerk send a pending invitation. Where Clerk is away it stays due; where Clerk refuses it, it is
/// taken back and the caller told why.
async fn send(call: &Call, db: &Db, id: &str) -> Result<(), Failure> {
    let Some(api) = &call.config.clerk_api else { return Ok(()) };
    let Some(invitation) = store::get(db, id).await? else { return Ok(()) };
    if invitation.state != InvitationState::Pending {
        return Ok(());
    }
    match clerk::invite(api, &invitation.email, sign_up(&call.config).as_deref()).await {
        Ok(clerk_id) => store::sent(db, id, &clerk_id, call.now).await?,
        Err(ClerkError::Refused(fields)) => {
            store::refused(db, id, &reason(&fields), call.now, &call.request_id).await?;
            return Err(fields.into());
        }
        Err(error @ ClerkError::Away(_)) => {
            log(
                Source::Request(&call.request_id),
                "invitation not sent, to be tried again",
                &error.to_string(),
            );
            store::unsent(db, id, &error.to_string(), call.now).await?;
        }
    }
    Ok(())
}

fn reason(fields: &[FieldError]) -> String {
    fields.iter().map(|field| field.problem.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// The invitation that the path names, with permission to give every role in it.
async fn find_to_change(
    call: &Call,
    db: &Db,
    caller: &Caller,
    deed: Deed,
) -> Result<(Invitation, Grant<Assign>), Failure> {
    let invitation = store::get(db, call.id()).await?.ok_or(ApiError::NotFound)?;
    let pairs = invitation.teams.iter().map(|team| (&team.team_id, team.role));
    let grant = authorize_all(call, caller, deed, Some(call.id()), pairs)?;
    match invitation.state {
        InvitationState::Pending | InvitationState::Expired => Ok((invitation, grant)),
        InvitationState::Accepted => Err(Failure::conflict("state", Clash::InvitationAccepted)),
        InvitationState::Revoked => Err(Failure::conflict("state", Clash::InvitationRevoked)),
    }
}

/// `DELETE /api/invitations/{id}`. In force at once; that Clerk is told only spares its addressee a
/// link that leads nowhere. An invitation into other teams too loses the caller's teams and stays for the others.
pub async fn revoke(call: &Call, _: Asked<()>) -> Answer<InvitationView> {
    let caller = call.caller()?;
    let db = call.db()?;
    if let Some((part, grant)) = find_part(call, &db, caller).await? {
        let teams: Vec<&TeamId> = part.teams.iter().map(|team| &team.team_id).collect();
        let (first, last) = store::revoke_parts(&db, &grant, &part.id, &teams)?;
        commit(call, &db, &grant, &part, Deed::RevokeInvitation, first, vec![last]).await?;
        return respond(view(&call.config, Invitation { state: InvitationState::Revoked, ..part }));
    }
    let (before, grant) = find_to_change(call, &db, caller, Deed::RevokeInvitation).await?;
    let first = store::revoke(&db, &grant, &before.id)?;
    commit(call, &db, &grant, &before, Deed::RevokeInvitation, first, vec![]).await?;
    tell_clerk(call, &before).await;
    let invitation = store::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    respond(view(&call.config, invitation))
}

/// The caller's part of an open invitation, if others have a part in it too.
async fn find_part(
    call: &Call,
    db: &Db,
    caller: &Caller,
) -> Result<Option<(Invitation, Grant<Assign>)>, Failure> {
    let invitation = store::get(db, call.id()).await?.ok_or(ApiError::NotFound)?;
    let is_open = matches!(invitation.state, InvitationState::Pending | InvitationState::Expired);
    let mut grant = None;
    let (teams, others): (Vec<_>, Vec<_>) = invitation.teams.into_iter().partition(|team| {
        Grant::assign(caller, &team.team_id, None, Some(team.role)).map(|given| grant = Some(given)).is_ok()
    });
    if !is_open || others.is_empty() {
        return Ok(None);
    }
    Ok(grant.map(|grant| (Invitation { teams, ..invitation }, grant)))
}

async fn tell_clerk(call: &Call, invitation: &Invitation) {
    let (Some(api), Some(clerk_id)) = (&call.config.clerk_api, &invitation.clerk_id) else { return };
    if let Err(error) = clerk::revoke(api, clerk_id).await {
        log(Source::Request(&call.request_id), "Clerk's invitation not revoked", &error.to_string());
    }
}

/// `POST /api/invitations/{id}/resend`. Clerk has no resending: the old one is revoked there, and a new
/// one made. Somebody who has signed up with the address since is a member at once, as in [`create`].
pub async fn resend(call: &Call, _: Asked<()>) -> Answer<InvitationView> {
    let caller = call.caller()?;
    let db = call.db()?;
    let (before, grant) = find_to_change(call, &db, caller, Deed::ResendInvitation).await?;
    let renew = store::renew(&db, &grant, &before.id, call.now + VALID_MS, call.now)?;
    let seen = teams_to_see(caller)?;
    let accept = store::accept(&db, &[&before.email], seen.as_deref(), call.now, &call.request_id)?;
    commit(call, &db, &grant, &before, Deed::ResendInvitation, renew, accept).await?;
    tell_clerk(call, &before).await;
    send(call, &db, &before.id).await?;
    let invitation = store::get(&db, call.id()).await?.ok_or(ApiError::NotFound)?;
    respond(view(&call.config, invitation))
}

/// The change with an audit entry for each team concerned.
async fn commit(
    call: &Call,
    db: &Db,
    grant: &Grant<Assign>,
    invitation: &Invitation,
    deed: Deed,
    first: Statement,
    rest: Vec<Statement>,
) -> Result<(), Failure> {
    let client_ip = call.client_ip();
    let mut statements = vec![first];
    for team in &invitation.teams {
        let entry = audit::Entry {
            before: Some(serde_json::json!({ "email": invitation.email, "role": team.role })),
            ..call.entry(
                grant.actor().as_str(),
                attempt(deed, Some(&invitation.id), &team.team_id),
                client_ip.as_deref(),
            )
        };
        statements.push(audit::insert_if_changed(db, &entry)?);
    }
    statements.extend(rest);
    if db.change(statements).await? { Ok(()) } else { Err(ApiError::Conflict.into()) }
}

/// The cron's part: what Clerk could not be asked to send.
pub async fn send_due(config: &Config, db: &Db, now: UnixMs) -> Result<(), StoreError> {
    let Some(api) = &config.clerk_api else { return Ok(()) };
    for due in store::due(db, now - RETRY_MS, now, SENT_AT_ONCE).await? {
        match clerk::invite(api, &due.email, sign_up(config).as_deref()).await {
            Ok(clerk_id) => store::sent(db, &due.id, &clerk_id, now).await?,
            Err(ClerkError::Refused(fields)) => {
                store::refused(db, &due.id, &reason(&fields), now, Source::Cron.as_str()).await?;
            }
            Err(error @ ClerkError::Away(_)) => {
                log(Source::Cron, "invitation not sent", &error.to_string());
                store::unsent(db, &due.id, &error.to_string(), now).await?;
            }
        }
    }
    Ok(())
}
