//! `/api/routes`

mod change;
mod credential;
mod test;

pub use change::{create, delete, update};
pub use credential::{clear_credential, set_credential};
pub use test::test;

use crate::db::routes::{self as store, Stored};
use crate::db::{Db, Statement};
use crate::error::Failure;
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_after, respond_versioned};
use contract::audit::Deed;
use contract::error::ApiError;
use contract::routes::{CredentialView, RouteChanged, RouteQuery, RouteView, Tag};
use contract::{Page, Propagation};
use domain::credential::Credential;
use domain::credential::seal::SealedCredential;
use domain::id::RouteId;
use domain::people::grant::{Grant, SetCredential};
use domain::people::role::{Action, Caller, Subject, authorize};
use domain::problem::Invalid;
use edge::crypto::seal;
use serde_json::Value;

/// `GET /api/routes`
pub async fn list(call: &Call, asked: Asked<RouteQuery>) -> Answer<Page<RouteView>> {
    let caller = call.caller()?;
    // Callers in no team see no route: they get an empty list, as for tokens.
    let is_visible = authorize(caller, Action::ReadRoute, Subject::default()).is_ok();
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let after = match query.cursor.as_deref().map(Cursor::decode).transpose()? {
        None => String::new(),
        Some(Cursor::Text(path, _)) => path,
        Some(Cursor::Time(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let (db, search, tag) = (call.db()?, query.search.as_deref(), query.tag.as_deref());
    let routes = if is_visible { store::list(&db, search, tag, &after, limit + 1).await? } else { vec![] };
    let views = routes.into_iter().map(|route| view_for(caller, route)).collect();
    let cursor_of = |route: &RouteView| Cursor::Text(route.path.as_str().to_owned(), route.id.to_string());
    let mut page = page(views, limit, cursor_of);
    page.total = match page.only(query.cursor.is_none()) {
        None if is_visible => Some(store::count(&db, search, tag).await?),
        only => only,
    };
    respond(page)
}

/// `GET /api/routes/tags`. There are few tags, so they come in one page.
pub async fn tags(call: &Call, _: Asked<()>) -> Answer<Page<Tag>> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    respond(Page { items: store::tags(&call.db()?).await?, next_cursor: None, total: None })
}

/// `GET /api/routes/{id}`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<RouteView> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    let route = store::get(&call.db()?, call.id()).await?.ok_or(ApiError::NotFound)?;
    let view = view_for(caller, route);
    respond_versioned(view.version, view)
}

/// Returns the parts of the route that the caller may see.
fn view_for(caller: &Caller, route: Stored) -> RouteView {
    match authorize(caller, Action::ReadUpstream, Subject::default()) {
        Ok(()) => route.full(),
        Err(_) => route.public(),
    }
}

fn attempt(deed: Deed, id: Option<&str>) -> Attempt<'_> {
    Attempt { deed, id, team: None }
}

/// Makes a route's snapshot for the audit log. The stored route contains no secret.
fn snapshot(route: &Stored) -> Option<Value> {
    crate::change::snapshot(&route.clone().full())
}

/// Seals a credential to a route and its origin, and returns the statement that stores it.
async fn seal_for(
    call: &Call,
    db: &Db,
    grant: &Grant<SetCredential>,
    route: &RouteId,
    origin: String,
    credential: &Credential,
) -> Result<Statement, Failure> {
    let keys = &call.config.credential_keys;
    let sealed: SealedCredential = seal(credential, route, &origin, keys).await?;
    let pool = if let Credential::Pool(pool) = credential { Some(pool.shown()) } else { None };
    let view = CredentialView { kind: credential.kind(), origin, updated_at: call.now, pool };
    Ok(store::put_credential(db, grant, route, &view, &sealed, &keys.first().fingerprint())?)
}

async fn respond_changed(
    db: &Db,
    caller: &Caller,
    id: &RouteId,
    propagation: Propagation,
    credential_dropped: bool,
) -> Answer<RouteChanged> {
    let route = store::get(db, id.as_str()).await?.ok_or(ApiError::NotFound)?;
    let route = view_for(caller, route);
    let changed = RouteChanged { route, propagation, credential_dropped };
    respond_after(propagation, Some(changed.route.version), changed)
}
