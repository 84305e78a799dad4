//! `/api/me` and `/api/users`

use crate::auth::key::refuse_read_only;
use crate::change::Change;
use crate::clerk;
use crate::db::invitations::Concerned;
use crate::db::teams::{self, Assignment};
use crate::db::unattended::Lost;
use crate::db::{Db, Statement, StoreError, invitations, or_abort, people as store, unattended};
use crate::error::Failure;
use crate::handlers::visible_teams;
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond};
use contract::Page;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::people::{
    AddMembershipRequest, Me, PeopleQuery, PeopleSynced, PersonChanged, PersonView, SetTeamRoleRequest,
    SyncPeopleRequest, TeamRole,
};
use domain::id::{TeamId, UserId};
use domain::people::grant::{Grant, ReadPeople};
use domain::people::role::{Action, Caller, Membership, Role, Subject, authorize};
use domain::problem::{Clash, Invalid};

/// `GET /api/me`
pub async fn me(call: &Call, _: Asked<()>) -> Answer<Me> {
    let caller = call.caller()?;
    let person = store::get(&call.db()?, &caller.user, None).await?.ok_or(ApiError::Unauthenticated)?;
    respond(Me {
        id: person.id,
        email: person.email,
        name: person.name,
        avatar_url: person.avatar_url,
        memberships: if caller.key.is_some() {
            in_force(caller, &person.memberships)
        } else {
            person.memberships
        },
        is_platform_admin: caller.is_platform_admin(),
        key_id: caller.key.as_ref().map(|key| key.id.clone()),
    })
}

/// Returns the roles of a key's call. A team of which its maker is no member goes by its id.
fn in_force(caller: &Caller, held: &[TeamRole]) -> Vec<TeamRole> {
    let name = |team: &TeamId| held.iter().find(|m| m.team_id == *team).map(|m| m.team_name.clone());
    let role = |m: &Membership| TeamRole {
        team_id: m.team.clone(),
        team_name: name(&m.team).unwrap_or_else(|| m.team.to_string()),
        role: m.role,
    };
    caller.memberships.iter().map(role).collect()
}

/// Returns the teams whose members the caller may see, as JSON; `None` means everybody, in a team or not.
pub fn teams_to_see(caller: &Caller) -> Result<Option<String>, Failure> {
    if authorize(caller, Action::ReadPeople, Subject::default()).is_ok() {
        return Ok(None);
    }
    let teams: Vec<&TeamId> = caller.memberships.iter().map(|m| &m.team).collect();
    Ok(Some(crate::db::to_json(&teams)?))
}

/// `GET /api/users`
pub async fn list(call: &Call, asked: Asked<PeopleQuery>) -> Answer<Page<PersonView>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, id)) => Some((*at, id.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let mut teams = teams_to_see(caller)?;
    if let Some(team) = &query.team_id
        && authorize(caller, Action::ReadTeam, Subject::team(team)).is_err()
    {
        // A team that the caller may not see shows no members, like one that does not exist.
        teams = Some("[]".to_owned());
    }
    let filter = store::ListFilter {
        teams: teams.as_deref(),
        search: query.search.as_deref(),
        team: query.team_id.as_ref().map(TeamId::as_str),
        after,
        limit: limit + 1,
    };
    let items = store::list(&call.db()?, &filter).await?;
    respond(page(items, limit, |person| Cursor::Time(person.created_at, person.id.to_string())))
}

/// `PUT /api/users/{uid}/team-role`
pub async fn set_team_role(call: &Call, asked: Asked<SetTeamRoleRequest>) -> Answer<PersonChanged> {
    let caller = call.caller()?;
    let (teams, role) = asked.read(call)?.validate()?;
    assign(call, caller, Deed::SetTeamRole, &teams, Some(role)).await
}

/// `POST /api/users/{uid}/team-membership`
pub async fn add_membership(call: &Call, asked: Asked<AddMembershipRequest>) -> Answer<PersonChanged> {
    let caller = call.caller()?;
    let request = asked.read(call)?;
    assign(call, caller, Deed::AddMember, &[request.team_id], Some(request.role)).await
}

/// `DELETE /api/users/{uid}/team-membership/{team}`
pub async fn remove_membership(call: &Call, _: Asked<()>) -> Answer<PersonChanged> {
    let caller = call.caller()?;
    let team = TeamId::from(call.parameter(1));
    assign(call, caller, Deed::RemoveMember, &[team], None).await
}

/// Gives the person that the path names the role `new` in each of `teams`, all or none.
///
/// 1. Check permission for each team, by the person's current and new role there. A team that the caller may not
///    see, or that does not exist, is 404.
/// 2. Write in one transaction. Each write, even one that changes nothing, requires that the person's role is still
///    the one that step 1 saw. A trigger keeps the last ADMIN.
async fn assign(
    call: &Call,
    caller: &Caller,
    deed: Deed,
    teams: &[TeamId],
    new: Option<Role>,
) -> Answer<PersonChanged> {
    let db = call.db()?;
    let user = UserId::from(call.id());
    for team in teams {
        let attempt = Attempt { deed, id: Some(user.as_str()), team: Some(team.as_str()) };
        call.require(caller, Action::ReadTeam, Subject::team(team), attempt)?;
    }
    let person = store::get(&db, &user, None).await?;
    let memberships = person.as_ref().map(|person| person.memberships.as_slice()).unwrap_or_default();
    let mut changes = Vec::new();
    for team in teams {
        let present = memberships.iter().find(|m| m.team_id == *team).map(|m| m.role);
        let attempt = Attempt { deed, id: Some(user.as_str()), team: Some(team.as_str()) };
        let grant = call.authorize_role(caller, team, (present, new), attempt)?;
        changes.push((team, present, attempt, grant));
    }
    // Callers can only add people they can already see.
    let is_visible =
        caller.is_platform_admin() || memberships.iter().any(|m| caller.role_in(&m.team_id).is_some());
    if person.is_none() || !is_visible {
        return Err(ApiError::NotFound.into());
    }
    let Some((.., grant)) = changes.first() else { return Err(ApiError::NotFound.into()) };
    let mut change = Change::new(call, &db, grant);
    for (team, present, attempt, grant) in &changes {
        check_present(deed, team, *present)?;
        let assignment = Assignment { user: &user, team, present: *present, new };
        change = change.write([teams::assign(&db, grant, assignment, call.now)?, or_abort(&db)?]);
        if *present != new {
            let role = |role| Some(serde_json::json!({ "role": role }));
            change = change.deed(*attempt, role(*present), role(new));
        }
    }
    let from: Vec<(&TeamId, Option<Role>)> =
        changes.iter().map(|(team, present, ..)| (*team, *present)).collect();
    let change = change.then(follow_through(call, &db, &user, &from, new)?);
    change.commit_whole().await.map_err(refused)?;
    let teams = teams_lost(&from, new);
    let live_tokens = unattended::count(&db, &user, &teams, call.now).await?;
    respond(PersonChanged { person: view(&db, caller, &user).await?, live_tokens })
}

/// Returns whether a change from `present` to `new` goes below `least`.
fn loses(least: Option<Role>, present: Option<Role>, new: Option<Role>) -> bool {
    present >= least && new < least
}

/// Returns the teams in which the person may no longer change the tokens that they made.
fn teams_lost<'a>(from: &[(&'a TeamId, Option<Role>)], new: Option<Role>) -> Vec<&'a TeamId> {
    let least = Action::ChangeToken.rule().own;
    from.iter().filter(|(_, present)| loses(least, *present, new)).map(|(team, _)| *team).collect()
}

/// Applies the consequences of a change of roles: revokes invitations that the person could no longer make, opens a
/// notification for each token that they made and may no longer change, and resolves it if they may again.
fn follow_through(
    call: &Call,
    db: &Db,
    user: &UserId,
    from: &[(&TeamId, Option<Role>)],
    new: Option<Role>,
) -> Result<Vec<Statement>, StoreError> {
    let mut statements = vec![unattended::resolve(db, call.now)?];
    let teams = teams_lost(from, new);
    let core = Action::ChangeToken.rule().core;
    if from.iter().any(|(team, present)| team.is_core() && loses(core, *present, new)) {
        statements.push(unattended::open(db, user, Lost::Platform, call.now)?);
    } else if !teams.is_empty() {
        statements.push(unattended::open(db, user, Lost::Teams(&teams), call.now)?);
    }
    if from.iter().any(|(_, present)| *present > new) {
        statements.extend(invitations::lapse(db, Concerned::Inviter(user), call.now, &call.request_id)?);
    }
    Ok(statements)
}

/// `POST /api/users/sync`. It stores each person as if a webhook had come. A person deleted from Clerk stays here, but
/// can no longer sign in.
///
/// Each call takes one page: it needs two statements for each person, and D1 allows 1,000 in one call.
pub async fn sync(call: &Call, asked: Asked<SyncPeopleRequest>) -> Answer<PeopleSynced> {
    let caller = call.caller()?;
    let attempt = Attempt { deed: Deed::SyncPeople, id: None, team: None };
    let grant: Grant<ReadPeople> = call.authorize(caller, Subject::default(), attempt)?;
    refuse_read_only(caller)?;
    let request = asked.read(call)?;
    let offset = request.cursor.as_deref().map_or(Ok(0), str::parse::<u32>);
    let offset = offset
        .ok()
        .filter(|offset| *offset <= 10_000_000)
        .ok_or_else(|| Failure::field("cursor", Invalid::Cursor))?;
    let api = call.config.clerk_api.as_ref();
    let api = api.ok_or_else(|| Failure::conflict("CLERK_SECRET_KEY", Clash::NoClerkKey))?;
    let db = call.db()?;
    let (users, count) =
        clerk::users(api, offset).await.map_err(|error| Failure::Clerk(error.to_string()))?;
    let after = serde_json::json!({ "people": users.len(), "offset": offset });
    Change::new(call, &db, &grant)
        .deed(attempt, None, Some(after))
        .then(invitations::put_people(&db, &users, call.now, &call.request_id)?)
        .commit_whole()
        .await?;
    let people = u32::try_from(users.len()).unwrap_or(u32::MAX);
    let next_cursor = (count >= clerk::PAGE).then(|| offset.saturating_add(count).to_string());
    respond(PeopleSynced { people, next_cursor })
}

fn check_present(deed: Deed, team: &TeamId, present: Option<Role>) -> Result<(), Failure> {
    match (deed, present) {
        (Deed::AddMember, Some(role)) => {
            let clash = Clash::AlreadyMember { team: team.to_string(), role: role.as_str().to_owned() };
            Err(Failure::conflict("team_id", clash))
        }
        (Deed::RemoveMember, None) => Err(ApiError::NotFound.into()),
        _ => Ok(()),
    }
}

/// Returns the failure for an undone transaction.
fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::Constraint(cause) if cause.contains("last-admin") => {
            Failure::conflict("role", Clash::LastAdmin)
        }
        // Their role has changed, or the team has been deleted.
        StoreError::Constraint(_) => ApiError::Conflict.into(),
        other => other.into(),
    }
}

async fn view(db: &Db, caller: &Caller, user: &UserId) -> Result<PersonView, Failure> {
    let teams = visible_teams(caller, None)?;
    Ok(store::get(db, user, teams.as_deref()).await?.ok_or(ApiError::NotFound)?)
}
