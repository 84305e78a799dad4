//! One link of the chain: the hash of an entry is `SHA-256(hash before ‖ canonical JSON of the entry)`.

use super::to_canonical;
use crate::encoding::{from_hex, hex};
use crate::time::{MINUTE_MS, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A SHA-256, as 64 hex digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryHash([u8; 32]);

impl EntryHash {
    /// Stands before the first entry ever: 32 zero bytes.
    pub const GENESIS: Self = Self([0; 32]);
}

impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A text that is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hex digits")]
pub struct NotAHash;

impl FromStr for EntryHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        from_hex(text).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(NotAHash)
    }
}

impl TryFrom<String> for EntryHash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<EntryHash> for String {
    fn from(hash: EntryHash) -> Self {
        hash.to_string()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for EntryHash {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EntryHash".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "A SHA-256 in hex.",
        })
    }
}

/// A position of the chain: an entry's number, id and hash. Kept elsewhere, it proves everything up to this entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "AuditHead"))]
pub struct Head {
    /// Number of the entry; 0 before the first.
    pub seq: u64,
    /// Id of the entry; empty before the first.
    pub id: String,
    /// Hash of the entry.
    pub hash: EntryHash,
}

impl Head {
    /// Returns the position before the first entry.
    pub fn start() -> Self {
        Self { seq: 0, id: String::new(), hash: EntryHash::GENESIS }
    }
}

/// Writes the short form, such as `2463:9f…`, which logs and the health report show.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// An entry as it is hashed: all that is stored except the hash. The actor's name belongs to the actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the entry. D1 numbers entries as it commits them, without gaps.
    pub seq: u64,
    /// Unique id of the entry.
    pub id: String,
    /// Time of the change, unix ms.
    pub at: UnixMs,
    /// Id of the user who did it, or `system`.
    pub actor: String,
    /// A deed.
    pub action: String,
    /// `done` or `refused`.
    pub result: String,
    /// A kind of thing.
    pub entity: String,
    /// Id of the thing.
    pub entity_id: Option<String>,
    /// The team that the thing belongs to.
    pub team_id: Option<String>,
    /// State before the change.
    pub before: Option<Value>,
    /// State after the change.
    pub after: Option<Value>,
    /// Address of the caller.
    pub client_ip: Option<String>,
    /// Id of the request.
    pub request_id: String,
}

impl Entry {
    /// Writes the entry as canonical JSON. Optional members that are `null` or empty are left out, because a file of
    /// comma-separated values does not distinguish them.
    pub fn to_canonical(&self) -> String {
        let text = |text: &str| Some(Value::from(text));
        let optional =
            |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Value::from);
        let json = |value: &Option<Value>| value.clone().filter(|value| !value.is_null());
        let members = [
            ("seq", Some(Value::from(self.seq))),
            ("id", text(&self.id)),
            ("at", Some(Value::from(self.at))),
            ("actor", text(&self.actor)),
            ("action", text(&self.action)),
            ("result", text(&self.result)),
            ("entity", text(&self.entity)),
            ("entity_id", optional(&self.entity_id)),
            ("team_id", optional(&self.team_id)),
            ("before", json(&self.before)),
            ("after", json(&self.after)),
            ("client_ip", optional(&self.client_ip)),
            ("request_id", text(&self.request_id)),
        ];
        to_canonical(&members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    /// Returns the hash of the entry that follows `previous`.
    pub fn hash_after(&self, previous: EntryHash) -> EntryHash {
        EntryHash(Sha256::new().chain_update(previous.0).chain_update(self.to_canonical()).finalize().into())
    }

    /// Returns the position of this entry in the chain.
    pub fn head(&self, hash: EntryHash) -> Head {
        Head { seq: self.seq, id: self.id.clone(), hash }
    }

    /// Returns whether the entry no longer changes. Repeats of a refused attempt within a minute share an entry, so it
    /// is chained when its minute is over.
    pub fn is_settled(&self, now: UnixMs) -> bool {
        self.result != "refused" || self.at.div_euclid(MINUTE_MS) != now.div_euclid(MINUTE_MS)
    }
}

/// Reads a snapshot as it is stored; text that is not JSON counts as a JSON string.
pub fn read_snapshot(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::verify::Published;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vector {
        previous: EntryHash,
        entry: Entry,
        canonical: String,
        hash: EntryHash,
    }

    #[test]
    fn the_published_vectors_hold() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../../docs/audit-log-vectors.json")).unwrap();
        assert!(vectors.len() >= 4);
        let mut previous = EntryHash::GENESIS;
        for Vector { previous: before, entry, canonical, hash } in vectors {
            assert_eq!((before, entry.to_canonical(), entry.hash_after(before)), (previous, canonical, hash));
            previous = hash;
        }
    }

    #[test]
    fn a_refused_attempt_is_settled_when_its_minute_is_over() {
        let entry = |result: &str| Entry { result: result.to_owned(), ..crate::audit::tests::entry(1) };
        let at = entry("done").at;
        let end = at - at.rem_euclid(MINUTE_MS) + MINUTE_MS;
        assert!(entry("done").is_settled(at));
        assert!(!entry("refused").is_settled(end - 1));
        assert!(entry("refused").is_settled(end));
    }

    #[test]
    fn hashes_and_heads_are_read_as_they_are_written() {
        let head = Head { seq: 7, ..Head::start() };
        assert_eq!(head.to_string(), format!("7:{}", "0".repeat(64)));
        assert_eq!(head.to_string().parse(), Ok(Published { seq: Some(7), hash: EntryHash::GENESIS }));
        assert_eq!("0".repeat(63).parse::<EntryHash>(), Err(NotAHash));
    }
}
