//! Authentication: the person or token behind a request.

pub mod api_key;
mod jwks;
pub mod key;
mod rate;

use crate::clerk;
use crate::config::SessionKeys;
use crate::db::people::Person;
use crate::db::{Db, invitations, people};
use crate::error::Failure;
use crate::request::Call;
use contract::error::ApiError;
use domain::id::{CORE_TEAM, TeamId, UserId};
use domain::people::key::PREFIX;
use domain::people::role::{Caller, Membership, Role};
use domain::people::session::{Session, SessionError, UnverifiedJwt};
use domain::time::{MINUTE_MS, UnixMs};
use edge::crypto::{PublicKey, verify_rs256};
use edge::log::{Source, log};

/// The pause before Clerk is asked again about a person whom it could not describe.
const ASK_AGAIN_MS: i64 = 10 * MINUTE_MS;

/// Finds the person whose session or key came with the call, with their roles from D1. A key is told apart by its
/// beginning, which no session token has. Checks of a session, in this order:
///
/// 1. `Authorization: Bearer`, never a cookie.
/// 2. The signature, with the issuer's published key or the pinned one; issuer, times, authorized party.
/// 3. This person's rate limit.
/// 4. Roles, in one query. A person not known yet is stored by id, and Clerk is asked for the rest; an
///    invitation that waits for their address is accepted.
pub async fn caller(call: &Call) -> Result<Caller, Failure> {
    let header = call.header("authorization").ok_or(ApiError::Unauthenticated)?;
    let jwt = bearer(&header).ok_or(ApiError::Unauthenticated)?;
    if jwt.starts_with(PREFIX) {
        return key::caller(call, jwt).await;
    }
    let session = verify(call, jwt).await?;
    rate::check(call, rate::PEOPLE, session.user().as_str()).await?;
    let db = call.db()?;
    let mut person = load(&db, &session, call).await?;
    if !person.is_known {
        people::insert(&db, session.user(), call.now).await?;
    }
    if !person.is_described && ask_clerk(call, &db, session.user(), person.asked_at).await? {
        person = load(&db, &session, call).await?;
    }
    if let Some(email) = &person.invited {
        db.batch(invitations::accept(&db, &[email.as_str()], None, call.now, &call.request_id)?).await?;
        person = load(&db, &session, call).await?;
    }
    let named = &call.config.bootstrap_admins;
    let is_named = named.iter().any(|name| {
        name == session.user().as_str() || person.email.as_ref().is_some_and(|e| e.eq_ignore_ascii_case(name))
    });
    let mut caller = Caller::new(session.user().clone(), person.memberships);
    if is_named
        && !caller.is_platform_admin()
        && people::insert_core_admin(&db, &caller.user, call.now, &call.request_id).await?
    {
        caller.memberships.retain(|m| !m.team.is_core());
        caller.memberships.push(Membership { team: TeamId::from(CORE_TEAM), role: Role::Admin });
    }
    Ok(caller)
}

/// Loads the person of a session. Fails if they have been deleted.
async fn load(db: &Db, session: &Session, call: &Call) -> Result<Person, Failure> {
    let person = people::load(db, session.user(), call.now).await?;
    if person.is_deleted { Err(ApiError::Unauthenticated.into()) } else { Ok(person) }
}

/// Asks Clerk about a person not described yet. Returns whether it described them. An outage of Clerk fails no
/// sign-in: the person is known by their id, and Clerk is asked again after [`ASK_AGAIN_MS`].
async fn ask_clerk(call: &Call, db: &Db, user: &UserId, asked_at: Option<UnixMs>) -> Result<bool, Failure> {
    let Some(api) = &call.config.clerk_api else { return Ok(false) };
    let before = call.now - ASK_AGAIN_MS;
    // The cheap check avoids a write per request; the claim stops concurrent lookups.
    if asked_at.is_some_and(|at| at > before) || !people::claim_asking(db, user, call.now, before).await? {
        return Ok(false);
    }
    match clerk::user(api, user).await {
        Ok(Some(found)) if found.id == *user => {
            db.batch(invitations::put_people(db, &[found], call.now, &call.request_id)?).await?;
            Ok(true)
        }
        Ok(_) => Ok(false),
        Err(error) => {
            log(Source::Request(&call.request_id), "person not fetched", &error.to_string());
            Ok(false)
        }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

async fn verify(call: &Call, jwt: &str) -> Result<Session, Failure> {
    let jwt = UnverifiedJwt::parse(jwt).map_err(|error| refuse(call, error))?;
    let (signed, signature) = jwt.signed();
    let holds = match &call.config.session_keys {
        SessionKeys::Pinned(der) => verify_rs256(&PublicKey::Spki(der), signed, signature).await?,
        SessionKeys::Jwks(address) => match jwks::find(address, jwt.kid(), &call.request_id).await? {
            Some(key) => verify_rs256(&PublicKey::Jwk { n: &key.n, e: &key.e }, signed, signature).await?,
            None => false,
        },
    };
    jwt.accept(holds, &call.config.session, call.now).map_err(|error| refuse(call, error))
}

/// Returns whether sessions can be checked at all.
pub async fn has_keys(call: &Call) -> bool {
    match &call.config.session_keys {
        SessionKeys::Pinned(_) => true,
        SessionKeys::Jwks(address) => jwks::find(address, None, &call.request_id).await.is_ok(),
    }
}

/// Makes the refusal of a session. All faults look alike to the caller, except a session that has merely
/// expired. The actual fault is logged, without the token.
fn refuse(call: &Call, error: SessionError) -> Failure {
    if error == SessionError::Expired {
        return ApiError::SessionExpired.into();
    }
    log(Source::Request(&call.request_id), "session refused", &error.to_string());
    ApiError::Unauthenticated.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_accepted() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(bearer(header), None, "{header}");
        }
    }
}
