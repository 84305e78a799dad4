//! The chain of hashes over the audit log, and its two places in `settings`: the entry chained last, and the last one
//! that retention has cut.
//!
//! An entry's number is the order in which D1 has committed it, so everything that is not chained is behind the head. A
//! round stores its hashes and the new head in one transaction, so one that dies anywhere has done all or nothing.

use crate::db::{Db, StoreError, from_json, or_abort, params, sql, to_json};
use domain::audit::chain::{Entry, EntryHash, Head, read_snapshot};
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};

/// Entries of one round, and rounds of one run of the cron.
const ROUND: u32 = 100;
const ROUNDS: usize = 50;
/// A round ends with the entry whose snapshots bring it to so many characters: an isolate's memory is small.
const ROUND_CHARACTERS: u32 = 2_000_000;

/// The places of the chain in `settings`.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The entry chained last.
    pub head: Option<Head>,
    /// Time at which it was chained.
    pub chained_at: UnixMs,
    /// The last entry that retention has cut.
    pub cut: Option<Head>,
}

impl Places {
    /// Returns the place before the oldest entry.
    pub fn start(&self) -> Head {
        self.cut.clone().unwrap_or_else(Head::start)
    }
}

pub async fn places(db: &Db) -> Result<Places, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        key: String,
        value: String,
        updated_at: UnixMs,
    }
    let mut places = Places::default();
    for row in db.rows::<Row>(db.statement(sql!("audit_places"), &[])?).await? {
        let place = Some(from_json(&row.value)?);
        if row.key == "audit-head" {
            (places.head, places.chained_at) = (place, row.updated_at);
        } else {
            places.cut = place;
        }
    }
    Ok(places)
}

/// The state of the end of the chain.
#[derive(Clone, Debug, Deserialize)]
pub struct End {
    /// Hash that the entry chained last has now; `None` if the entry is gone.
    pub hash: Option<EntryHash>,
    /// Time of the oldest entry that is not chained.
    pub waiting_since: Option<UnixMs>,
}

pub async fn end(db: &Db, seq: u64) -> Result<Option<End>, StoreError> {
    db.first(db.statement(sql!("audit_waiting"), params![seq])?).await
}

/// Chains new entries. Returns their number and the new head, if there were any.
pub async fn run(db: &Db, now: UnixMs) -> Result<Option<(usize, Head)>, StoreError> {
    let mut done = None;
    let mut overtaken = None;
    for _ in 0..ROUNDS {
        if db.budget().d1_left() == 0 {
            break;
        }
        let head = places(db).await?.head.unwrap_or_else(Head::start);
        match round(db, head, now).await {
            Ok(Some((chained, head))) => {
                let before = done.map_or(0, |(before, _)| before);
                done = Some((before + chained, head));
            }
            Ok(None) => return Ok(done),
            // A refused attempt was repeated, or another run was faster. What is there now is read again.
            Err(error @ StoreError::Constraint(_)) => overtaken = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (done, overtaken) {
        (None, Some(error)) => Err(error),
        (done, _) => Ok(done),
    }
}

/// Chains up to [`ROUND`] entries behind `head`. Returns their number and the new head; `None` if there are none.
async fn round(db: &Db, head: Head, now: UnixMs) -> Result<Option<(usize, Head)>, StoreError> {
    let rows = db.statement(sql!("audit_unchained"), params![head.seq, ROUND + 1, ROUND_CHARACTERS])?;
    let mut rows = db.rows::<Row>(rows).await?.into_iter().peekable();
    if head.seq > 0 && !rows.next().is_some_and(|row| row.seq == head.seq && row.hash == Some(head.hash)) {
        return Err(StoreError::Unreadable(format!("entry {}, chained last, is gone or changed", head.seq)));
    }
    let (mut chained, mut head) = (vec![], head);
    for row in rows {
        let after = row.after.clone();
        let entry = row.into_entry();
        if !entry.is_settled(now) {
            break;
        }
        let (previous, hash) = (head.hash, entry.hash_after(head.hash));
        head = entry.head(hash);
        let after = after.filter(|_| entry.result == "refused");
        chained.push(Chained { seq: head.seq, previous, hash, after });
    }
    if chained.is_empty() {
        return Ok(None);
    }
    db.batch(vec![
        db.statement(sql!("audit_chain"), params![&to_json(&chained)?])?,
        db.statement(
            sql!("audit_head_put"),
            params![&to_json(&head)?, now, u64::try_from(chained.len()).unwrap_or(0)],
        )?,
        or_abort(db)?,
    ])
    .await?;
    Ok(Some((chained.len(), head)))
}

/// One entry's hash for `audit_chain.sql`.
#[derive(Serialize)]
struct Chained {
    seq: u64,
    previous: EntryHash,
    hash: EntryHash,
    /// The repeats of a refused attempt, as they were read.
    after: Option<String>,
}

/// An entry as it is stored. It is read whatever it says, so that none is left out.
#[derive(Deserialize)]
struct Row {
    seq: u64,
    id: String,
    at: UnixMs,
    actor: String,
    action: String,
    result: String,
    entity: String,
    entity_id: Option<String>,
    team_id: Option<String>,
    before: Option<String>,
    after: Option<String>,
    client_ip: Option<String>,
    request_id: String,
    hash: Option<EntryHash>,
}

impl Row {
    fn into_entry(self) -> Entry {
        Entry {
            seq: self.seq,
            id: self.id,
            at: self.at,
            actor: self.actor,
            action: self.action,
            result: self.result,
            entity: self.entity,
            entity_id: self.entity_id,
            team_id: self.team_id,
            before: self.before.map(read_snapshot),
            after: self.after.map(read_snapshot),
            client_ip: self.client_ip,
            request_id: self.request_id,
        }
    }
}
