//! Admin API keys.

use super::{Db, MAX_SAFE, Statement, StoreError, params, sql, to_json};
use contract::keys::{KeyRoleView, KeyState, KeyView, MAX_KEYS, NewKey};
use domain::id::{KeyId, TeamId, UserId};
use domain::json;
use domain::people::grant::{CreateKey, Grant, RevokeKey, RotateKey};
use domain::people::key::{Key, KeySecret, Power, Stored, USE_NOTED_MS};
use domain::people::role::{Caller, Membership, Role};
use domain::time::UnixMs;
use domain::token::{TokenHash, TokenHint};
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A key that was found by one of its secrets.
#[derive(Debug)]
pub struct Found {
    pub stored: Stored,
    /// The person who made it, with their current roles.
    pub maker: Caller,
    last_used_at: Option<UnixMs>,
}

impl Found {
    /// Returns whether this use must be written. It spares a write for nearly all calls of a busy key.
    pub fn is_use_due(&self, now: UnixMs) -> bool {
        self.last_used_at.is_none_or(|at| at <= now - USE_NOTED_MS)
    }
}

#[derive(Debug, Deserialize)]
struct FoundRow {
    id: KeyId,
    made_by: UserId,
    roles: String,
    read_only: u8,
    may: String,
    ip_allow: String,
    expires_at: UnixMs,
    revoked_at: Option<UnixMs>,
    last_used_at: Option<UnixMs>,
    ends_at: Option<UnixMs>,
    team_id: Option<TeamId>,
    role: Option<Role>,
}

/// Finds the key of a secret, with its maker's roles, in one query. A stored value that cannot be read fails: it may be
/// what narrows the key.
pub async fn find_by_secret(db: &Db, hash: &TokenHash) -> Result<Option<Found>, StoreError> {
    let rows: Vec<FoundRow> = db.rows(db.statement(sql!("key_load"), params![hash.as_str()])?).await?;
    let held = rows.iter().filter_map(|row| Some(Membership { team: row.team_id.clone()?, role: row.role? }));
    let memberships = held.collect();
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let key = Key { id: row.id, read_only: row.read_only != 0, may: read::<Vec<Power>>(&row.may)? };
    let stored = Stored {
        key,
        roles: read::<Vec<Membership>>(&row.roles)?,
        ip_allow: read::<Vec<IpNet>>(&row.ip_allow)?,
        expires_at: row.expires_at,
        secret_ends_at: row.ends_at,
        revoked_at: row.revoked_at,
    };
    Ok(Some(Found { stored, maker: Caller::new(row.made_by, memberships), last_used_at: row.last_used_at }))
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    json::from_text(json).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// Notes that the key was used. No [`Grant`] is needed: it changes nothing that anybody decided.
pub fn note_use(db: &Db, key: &KeyId, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("key_used"), params![key.as_str(), now, USE_NOTED_MS])
}

#[derive(Debug, Deserialize)]
struct KeyRow {
    id: KeyId,
    name: String,
    made_by: UserId,
    maker_name: Option<String>,
    maker_gone_at: Option<UnixMs>,
    roles: String,
    read_only: u8,
    may: String,
    ip_allow: String,
    created_at: UnixMs,
    expires_at: UnixMs,
    revoked_at: Option<UnixMs>,
    last_used_at: Option<UnixMs>,
    version: u64,
    held: String,
    hint: Option<String>,
    working: usize,
}

/// A key, and the number of its secrets that work.
#[derive(Debug)]
pub struct Listed {
    pub view: KeyView,
    pub working_secrets: usize,
}

impl KeyRow {
    fn listed(self, now: UnixMs) -> Result<Listed, StoreError> {
        let maker = Caller::new(self.made_by, read::<Vec<Membership>>(&self.held)?);
        let role = |Membership { team, role }: Membership| KeyRoleView {
            effective: maker.reach(&team).map(|own| own.min(role)),
            team_id: team,
            role,
        };
        let roles = read::<Vec<Membership>>(&self.roles)?.into_iter().map(role).collect();
        let state = match (self.revoked_at, self.maker_gone_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(_)) => KeyState::MakerGone,
            (None, None) if self.expires_at <= now => KeyState::Expired,
            (None, None) => KeyState::Active,
        };
        let view = KeyView {
            id: self.id,
            name: self.name,
            made_by: maker.user,
            maker_name: self.maker_name,
            roles,
            read_only: self.read_only != 0,
            may: read(&self.may)?,
            ip_allow: read(&self.ip_allow)?,
            state,
            hint: self.hint.as_deref().map(read::<TokenHint>).transpose()?,
            created_at: self.created_at,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            revoked_at: self.revoked_at,
            version: self.version,
        };
        Ok(Listed { view, working_secrets: self.working })
    }
}

pub async fn get(db: &Db, id: &str, now: UnixMs) -> Result<Option<Listed>, StoreError> {
    let row: Option<KeyRow> = db.first(db.statement(sql!("key_get"), params![id, now])?).await?;
    row.map(|row| row.listed(now)).transpose()
}

/// Lists the keys of one person, or of everybody, newest first, from after `(time, id)` on.
pub async fn list(
    db: &Db,
    made_by: Option<&UserId>,
    after: Option<(UnixMs, &str)>,
    limit: u32,
    now: UnixMs,
) -> Result<Vec<KeyView>, StoreError> {
    let (at, id) = after.unwrap_or((MAX_SAFE, ""));
    let statement = match made_by {
        None => db.statement(sql!("keys_list"), params![at, id, limit, now])?,
        Some(person) => db.statement(sql!("keys_made_by"), params![at, id, limit, now, person.as_str()])?,
    };
    let rows: Vec<KeyRow> = db.rows(statement).await?;
    rows.into_iter().map(|row| row.listed(now).map(|listed| listed.view)).collect()
}

/// Inserts a key, unless its maker has [`MAX_KEYS`] that work.
pub fn insert(
    db: &Db,
    grant: &Grant<CreateKey>,
    id: &KeyId,
    key: &NewKey,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (roles, may, ip_allow) = (to_json(&key.roles)?, to_json(&key.may)?, to_json(&key.ip_allow)?);
    let params = params![
        id.as_str(),
        &key.name,
        grant.actor().as_str(),
        &roles,
        key.read_only,
        &may,
        &ip_allow,
        now,
        key.expires_at,
        MAX_KEYS,
    ];
    db.statement(sql!("key_insert"), params)
}

/// An action that makes a secret.
pub trait MakesKeySecret {}
impl MakesKeySecret for CreateKey {}
impl MakesKeySecret for RotateKey {}

/// Inserts a new secret if the statement before it changed something.
pub fn insert_secret(
    db: &Db,
    _: &Grant<impl MakesKeySecret>,
    id: &KeyId,
    secret: &KeySecret,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (hash, hint) = (secret.hash(), secret.hint());
    let params = params![hash.as_str(), id.as_str(), &hint.start, &hint.end, now];
    db.statement(sql!("key_secret_insert"), params)
}

/// Increments the version, and sets a new end if there is one.
pub fn touch(
    db: &Db,
    _: &Grant<RotateKey>,
    id: &KeyId,
    end: Option<UnixMs>,
    version: Option<u64>,
) -> Result<Statement, StoreError> {
    db.statement(sql!("key_touch"), params![id.as_str(), end, version])
}

/// Sets an end for all secrets except `new`, if `new` exists, and removes those that have ended.
pub fn end_other_secrets(
    db: &Db,
    _: &Grant<RotateKey>,
    id: &KeyId,
    new: &KeySecret,
    (at, now): (UnixMs, UnixMs),
) -> Result<[Statement; 2], StoreError> {
    Ok([
        db.statement(sql!("key_secrets_end"), params![id.as_str(), at, new.hash().as_str()])?,
        db.statement(sql!("key_secrets_purge"), params![id.as_str(), now])?,
    ])
}

pub fn revoke(
    db: &Db,
    _: &Grant<RevokeKey>,
    id: &KeyId,
    version: Option<u64>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("key_revoke"), params![id.as_str(), now, version])
}
