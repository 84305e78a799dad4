//! `/api/keys`: admin API keys.

use crate::change::{Change, snapshot};
use crate::db::keys::{self as store, Listed};
use crate::db::{Db, audit};
use crate::error::Failure;
use crate::handlers::{check_if_match, condition, overtaken};
use crate::paging::{Cursor, check_limit, page};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_versioned};
use contract::Page;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::keys::{CreateKeyRequest, KeyCreated, KeyQuery, KeyView, MAX_KEYS, RotateKeyRequest};
use domain::id::KeyId;
use domain::people::grant::{Grant, Permission};
use domain::people::key::KeySecret;
use domain::people::role::{Action, Subject, authorize};
use domain::problem::{Clash, Invalid};
use edge::crypto::random;

/// The most secrets of one key that may work at the same time.
const MAX_WORKING_SECRETS: usize = 10;

/// `POST /api/keys`
pub async fn create(call: &Call, asked: Asked<CreateKeyRequest>) -> Answer<KeyCreated> {
    let caller = call.caller()?;
    let attempt = Attempt { deed: Deed::CreateKey, id: None, team: None };
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let key = asked.read(call)?.validate(caller, call.now)?;
    let db = call.db()?;
    let id = KeyId::from(audit::new_id("key_")?);
    let secret = mint(call)?;
    let after = serde_json::json!({
        "name": key.name, "roles": key.roles, "read_only": key.read_only, "may": key.may,
        "ip_allow": key.ip_allow, "expires_at": key.expires_at, "hint": secret.hint(),
    });
    let is_made = Change::new(call, &db, &grant)
        .write([
            store::insert(&db, &grant, &id, &key, call.now)?,
            store::insert_secret(&db, &grant, &id, &secret, call.now)?,
        ])
        .deed(Attempt { id: Some(id.as_str()), ..attempt }, None, Some(after))
        .commit()
        .await?;
    if !is_made {
        return Err(Failure::conflict("key", Clash::TooManyKeys { most: MAX_KEYS }));
    }
    respond_created(call, &db, &id, &secret).await
}

/// `GET /api/keys`
pub async fn list(call: &Call, asked: Asked<KeyQuery>) -> Answer<Page<KeyView>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, id)) => Some((*at, id.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let sees_all = authorize(caller, Action::ReadKey, Subject::default()).is_ok();
    let made_by = (!sees_all).then_some(&caller.user);
    let items = store::list(&call.db()?, made_by, after, limit + 1, call.now).await?;
    respond(page(items, limit, |key| Cursor::Time(key.created_at, key.id.to_string())))
}

/// `GET /api/keys/{id}`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<KeyView> {
    let caller = call.caller()?;
    let Listed { view, .. } = find(call, &call.db()?).await?;
    authorize(caller, Action::ReadKey, Subject::made_by(&view.made_by))?;
    respond_versioned(view.version, view)
}

async fn find(call: &Call, db: &Db) -> Result<Listed, Failure> {
    Ok(store::get(db, call.id(), call.now).await?.ok_or(ApiError::NotFound)?)
}

/// Finds the key that the path names, with the permission to change it.
async fn find_to_change<A: Permission>(
    call: &Call,
    db: &Db,
    deed: Deed,
) -> Result<(Listed, Grant<A>), Failure> {
    let caller = call.caller()?;
    let found = find(call, db).await?;
    let grant =
        call.authorize(caller, Subject::made_by(&found.view.made_by), attempt(deed, &found.view.id))?;
    Ok((found, grant))
}

fn attempt(deed: Deed, id: &KeyId) -> Attempt<'_> {
    Attempt { deed, id: Some(id.as_str()), team: None }
}

/// `POST /api/keys/{id}/rotate`
pub async fn rotate(call: &Call, asked: Asked<RotateKeyRequest>) -> Answer<KeyCreated> {
    let db = call.db()?;
    let (Listed { view, working_secrets }, grant) = find_to_change(call, &db, Deed::RotateKey).await?;
    let (grace_ms, end) = asked.read(call)?.validate(call.now)?;
    check_if_match(call, view.version)?;
    if view.revoked_at.is_some() {
        return Err(Failure::conflict("state", Clash::KeyRevoked));
    }
    if grace_ms > 0 && working_secrets >= MAX_WORKING_SECRETS {
        return Err(Failure::conflict("grace_hours", Clash::TooManySecrets));
    }
    let secret = mint(call)?;
    let after = serde_json::json!({ "hint": secret.hint(), "grace_ms": grace_ms, "expires_at": end.unwrap_or(view.expires_at) });
    let times = (call.now + grace_ms, call.now);
    let is_made = Change::new(call, &db, &grant)
        .write([
            store::touch(&db, &grant, &view.id, end, condition(call, view.version))?,
            store::insert_secret(&db, &grant, &view.id, &secret, call.now)?,
        ])
        .deed(attempt(Deed::RotateKey, &view.id), snapshot(&view), Some(after))
        .then(store::end_other_secrets(&db, &grant, &view.id, &secret, times)?)
        .commit()
        .await?;
    if !is_made {
        return Err(overtaken(call));
    }
    respond_created(call, &db, &view.id, &secret).await
}

/// `DELETE /api/keys/{id}`
pub async fn revoke(call: &Call, _: Asked<()>) -> Answer<KeyView> {
    let db = call.db()?;
    let (Listed { view, .. }, grant) = find_to_change(call, &db, Deed::RevokeKey).await?;
    check_if_match(call, view.version)?;
    if view.revoked_at.is_some() {
        return respond_versioned(view.version, view);
    }
    let revoked = serde_json::json!({ "revoked_at": call.now });
    let is_done = Change::new(call, &db, &grant)
        .write([store::revoke(&db, &grant, &view.id, condition(call, view.version), call.now)?])
        .deed(attempt(Deed::RevokeKey, &view.id), snapshot(&view), Some(revoked))
        .commit()
        .await?;
    if !is_done {
        return Err(overtaken(call));
    }
    let Listed { view, .. } = find(call, &db).await?;
    respond_versioned(view.version, view)
}

fn mint(call: &Call) -> Result<KeySecret, Failure> {
    KeySecret::mint(random::<32>()?, &call.config.check_keys)
        .ok_or_else(|| Failure::Internal("the key cannot be checked".to_owned()))
}

async fn respond_created(call: &Call, db: &Db, id: &KeyId, secret: &KeySecret) -> Answer<KeyCreated> {
    let Listed { view, .. } = store::get(db, id.as_str(), call.now).await?.ok_or(ApiError::NotFound)?;
    respond_versioned(view.version, KeyCreated { key: secret.expose().to_owned(), view })
}
