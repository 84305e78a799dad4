//! The audit log as a chain of hashes, so that a copy of it shows whether an entry was changed, removed or inserted.
//!
//! `docs/audit-log.md` describes the bytes for other implementations; `docs/audit-log-vectors.json` has test vectors.

mod canonical;
pub mod chain;
pub mod export;
pub mod verify;

pub use canonical::to_canonical;

#[cfg(test)]
mod tests {
    use super::chain::Entry;
    use serde_json::json;

    /// Makes the entry with this number.
    pub fn entry(seq: u64) -> Entry {
        Entry {
            seq,
            id: format!("aud_{seq}"),
            at: 1_790_000_000_000 + i64::try_from(seq).unwrap() * 1_000,
            actor: "user_admin".to_owned(),
            action: "update-token".to_owned(),
            result: "done".to_owned(),
            entity: "token".to_owned(),
            entity_id: Some(format!("tok_{seq}")),
            team_id: Some("automation".to_owned()),
            before: Some(json!({ "name": "=1+1", "scopes": ["*"], "version": seq })),
            after: Some(
                json!({ "name": "'=1", "note": "two\nlines, ;-5", "scopes": ["GET /api/x"], "version": seq + 1 }),
            ),
            client_ip: None,
            request_id: format!("req_{seq}"),
        }
    }
}
