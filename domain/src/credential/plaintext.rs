//! The text of a credential that is sealed.
//!
//! A pool is written as its first credential with the whole pool in the field `pool`. A version that knows no pools
//! ignores that field, so a gateway that is rolled back goes on with the first credential. Keys that assume a role say that
//! it is critical, since a version that ignored it would sign with the keys themselves.

use super::pool::{Member, Pool};
use super::{Credential, CredentialKind, of_kind};
use crate::json::{self, Object};
use crate::secret::{Revealed, Secret};
use crate::stored::{CRITICAL, forbids_use};
use serde_json::{Map, Value};

/// The field that holds a pool beside its first credential.
const POOL: &str = "pool";
/// The field that names the role which keys of AWS assume.
const ROLE: &str = "role";

impl Credential {
    /// Writes the plain text that is sealed.
    pub fn to_plaintext(&self) -> Option<Secret> {
        let mut text = written(self)?;
        if let Self::Pool(pool) = self {
            let (_, first) = pool.each().next()?;
            let pool = std::mem::replace(&mut text, written(first)?);
            text.as_object_mut()?.insert(POOL.to_owned(), pool);
        }
        Some(Secret::new(text.to_string()))
    }

    /// Reads what [`Credential::to_plaintext`] wrote, in this version or a newer one. `None` for a kind
    /// that is not known, and for one with a critical field that is not.
    pub fn from_plaintext(plaintext: &[u8]) -> Option<Self> {
        match serde_json::from_str(str::from_utf8(plaintext).ok()?).ok()? {
            Value::Object(stored) => read(stored),
            _ => None,
        }
    }
}

fn written(credential: &Credential) -> Option<Value> {
    let mut fields = serde_json::to_value(Revealed(credential)).ok()?;
    mark(&mut fields);
    Some(fields)
}

/// Marks a role as critical, in a credential or in those of a pool.
fn mark(credential: &mut Value) {
    let Some(fields) = credential.as_object_mut() else { return };
    if fields.contains_key(ROLE) {
        fields.insert(CRITICAL.to_owned(), vec![ROLE].into());
    }
    for member in fields.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
        member.get_mut("credential").into_iter().for_each(mark);
    }
}

fn read(mut stored: Map<String, Value>) -> Option<Credential> {
    // First, since this version may not know the kind of the pool's first.
    if let Some(Value::Object(pool)) = stored.get(POOL) {
        return read_pool(pool);
    }
    let kind: CredentialKind = json::read(stored.get("kind")?.clone()).ok()?;
    if kind == CredentialKind::Pool {
        return read_pool(&stored);
    }
    if forbids_use(&stored.clone().into(), kind.fields()) {
        return None;
    }
    stored.retain(|name, _| kind.fields().contains(&name.as_str()));
    of_kind(kind, Object::new(stored)).ok()
}

/// Reads a pool without the credentials that this version cannot read. `None` if none is left.
fn read_pool(pool: &Map<String, Value>) -> Option<Credential> {
    let member = |member: &Value| {
        let credential = read(member.get("credential")?.as_object()?.clone())?;
        let is_single = credential.kind() != CredentialKind::Pool;
        let name = member.get("name")?.as_str()?.to_owned();
        is_single.then_some(Member { name, credential: Some(credential) })
    };
    let members: Vec<Member> = pool.get("members")?.as_array()?.iter().filter_map(member).collect();
    let in_turn = pool.get("in_turn").and_then(Value::as_bool).unwrap_or(false);
    (!members.is_empty()).then_some(Credential::Pool(Pool { in_turn, members }))
}
