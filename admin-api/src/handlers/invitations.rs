//! `/api/invitations`

use crate::change::Change;
use crate::clerk;
use crate::config::Config;
use crate::db::invitations::{self as store, Invitation};
use crate::db::{Db, Statement, audit, to_json, tokens};
use crate::error::Failure;
use crate::handlers::people::teams_to_see;
use crate::invitations::{self, sign_up};
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
use edge::log::{Source, log};

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
    respond(Page { items, next_cursor: page.next_cursor, total: page.total })
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

fn attempt<'a>(deed: Deed, id: Option<&'a str>, team: &'a TeamId) -> Attempt<'a> {
    Attempt { deed, id, team: Some(team.as_str()) }
}

/// Authorises giving each of these roles in its team.
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
/// 1. Read and check the request; check permission for each team. All teams must exist.
/// 2. Insert the invitation and its audit entries. If a person whom the caller can see already has the address, they
///    become a member at once. For anybody else the invitation waits, just as for an address without an account, so
///    it does not reveal who has one. The person's next request, or Clerk's next webhook about them, accepts it.
/// 3. Have Clerk send it, if that is configured and nobody has accepted it yet.
pub async fn create(call: &Call, asked: Asked<CreateInvitationRequest>) -> Answer<InvitationView> {
    let caller = call.caller()?;
    let (email, teams) = asked.read(call)?.validate()?;
    let pairs = teams.iter().map(|team| (&team.team_id, team.role));
    let grant = authorize_all(call, caller, Deed::CreateInvitation, None, pairs)?;
    let db = call.db()?;
    check_teams(&db, &teams).await?;

    let id = audit::new_id("inv_")?;
    let mut change = Change::new(call, &db, &grant).write(store::insert(
        &db,
        &grant,
        &id,
        &email,
        &teams,
        call.now,
        call.now + VALID_MS,
    )?);
    for team in &teams {
        let attempt = attempt(Deed::CreateInvitation, Some(&id), &team.team_id);
        let after = serde_json::json!({ "email": email, "role": team.role });
        change = change.deed(attempt, None, Some(after));
    }
    let seen = teams_to_see(caller)?;
    let accept = store::accept(&db, &[&email], seen.as_deref(), call.now, &call.request_id)?;
    change.then(accept).commit_whole().await?;
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

/// Has Clerk send an invitation that nobody has accepted yet.
async fn send(call: &Call, db: &Db, id: &str) -> Result<(), Failure> {
    let Some(invitation) = store::get(db, id).await? else { return Ok(()) };
    if invitation.state != InvitationState::Pending {
        return Ok(());
    }
    let source = Source::Request(&call.request_id);
    let sent = invitations::send(&call.config, db, (id, &invitation.email), call.now, source).await?;
    sent.map_err(Failure::from)
}

/// Finds the invitation that the path names, with permission to give every role in it.
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

/// `DELETE /api/invitations/{id}`. It is in force at once; telling Clerk only spares the addressee a
/// dead link. If the invitation also names teams of others, it loses the caller's teams and stays open for the rest.
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

/// Finds the caller's part of an open invitation, if it also has parts of others.
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

/// `POST /api/invitations/{id}/resend`. Clerk cannot resend: the old invitation is revoked there, and a new
/// one made. A person who has since signed up with the address becomes a member at once, as in [`create`].
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

/// Writes the change with an audit entry for each team concerned.
async fn commit(
    call: &Call,
    db: &Db,
    grant: &Grant<Assign>,
    invitation: &Invitation,
    deed: Deed,
    first: Statement,
    rest: Vec<Statement>,
) -> Result<(), Failure> {
    let mut change = Change::new(call, db, grant).write([first]);
    for team in &invitation.teams {
        let attempt = attempt(deed, Some(&invitation.id), &team.team_id);
        let before = serde_json::json!({ "email": invitation.email, "role": team.role });
        change = change.deed(attempt, Some(before), None);
    }
    if change.then(rest).commit().await? { Ok(()) } else { Err(ApiError::Conflict.into()) }
}
