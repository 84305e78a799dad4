//! One change by the caller as one transaction: its statements, the outbox row that leads to its publication in KV,
//! and its entries in the audit log.
//!
//! The statements run in this order: those of [`Change::write`], the outbox row, the entries, those of
//! [`Change::then`]. The first one decides: the outbox row and the entries are inserted only if the statement before
//! them changed something, so a change that was overtaken leaves nothing behind.

use crate::db::outbox::Publishes;
use crate::db::{Db, Statement, StoreError, audit, config, outbox, prices, routes, unattended};
use crate::publish::{Subject, publish};
use crate::request::{Attempt, Call};
use contract::Propagation;
use domain::people::grant::Grant;
use serde::Serialize;
use serde_json::Value;

/// A change with the permission `A`, not written yet.
#[must_use]
#[derive(Debug)]
pub struct Change<'a, A> {
    call: &'a Call,
    db: &'a Db,
    grant: &'a Grant<A>,
    writes: Vec<Statement>,
    deeds: Vec<Recorded<'a>>,
    rest: Vec<Statement>,
}

/// An entry of the audit log, with its snapshots before and after the change.
type Recorded<'a> = (Attempt<'a>, Option<Value>, Option<Value>);

/// A function that makes the statement for an entry.
type Insert = fn(&Db, &audit::Entry) -> Result<Statement, StoreError>;

impl<'a, A> Change<'a, A> {
    pub fn new(call: &'a Call, db: &'a Db, grant: &'a Grant<A>) -> Self {
        Self { call, db, grant, writes: vec![], deeds: vec![], rest: vec![] }
    }

    /// Adds an entry for the audit log.
    pub fn deed(mut self, attempt: Attempt<'a>, before: Option<Value>, after: Option<Value>) -> Self {
        self.deeds.push((attempt, before, after));
        self
    }

    /// Adds statements before the outbox row and the entries.
    pub fn write(mut self, statements: impl IntoIterator<Item = Statement>) -> Self {
        self.writes.extend(statements);
        self
    }

    /// Adds statements after the entries. The first of them can depend on whether the last entry was written.
    pub fn then(mut self, statements: impl IntoIterator<Item = Statement>) -> Self {
        self.rest.extend(statements);
        self
    }

    /// Writes a change that KV need not be told of. Returns false if the first statement changed nothing.
    pub async fn commit(self) -> Result<bool, StoreError> {
        let db = self.db;
        db.change(self.statements(audit::insert_if_changed)?).await
    }

    /// Writes a change that is made completely or undone, so its entries are unconditional.
    pub async fn commit_whole(self) -> Result<(), StoreError> {
        let db = self.db;
        db.batch(self.statements(audit::insert)?).await.map(drop)
    }

    fn statements(self, insert: Insert) -> Result<Vec<Statement>, StoreError> {
        let client_ip = self.call.client_ip();
        let mut statements = self.writes;
        for (attempt, before, after) in self.deeds {
            let actor = self.grant.signature();
            let entry = self.call.entry(actor, attempt, client_ip.as_deref());
            let is_new = before.is_none() && after.is_some();
            statements.push(insert(self.db, &audit::Entry { before, after, ..entry })?);
            if let Some(id) = attempt.id.filter(|_| is_new && self.call.is_step()) {
                statements.push(config::insert_made(self.db, attempt.deed.entity(), id, self.call.now)?);
            }
        }
        statements.extend(self.rest);
        Ok(statements)
    }
}

impl<A: Publishes> Change<'_, A> {
    /// Writes the change and publishes it to KV at once. Returns `None` if the first statement changed nothing.
    pub async fn publish(mut self, subject: A::Subject) -> Result<Option<Propagation>, StoreError> {
        let (call, db) = (self.call, self.db);
        let (subject, row, statement) = outbox::insert(db, self.grant, subject, call.now)?;
        match &subject {
            Subject::Routes => self.writes.push(routes::bump_table(db, call.now)?),
            Subject::Prices => self.writes.push(prices::bump(db, call.now)?),
            Subject::Token(id) => self.rest.push(unattended::changed(db, id, call.now)?),
        }
        self.writes.push(statement);
        if !self.commit().await? {
            return Ok(None);
        }
        Ok(Some(publish(&call.env, db, &subject, row, &call.request_id).await))
    }
}

/// Makes a record's snapshot for the audit log. Records hold no secret, and each can be written as JSON.
pub fn snapshot(record: &impl Serialize) -> Option<Value> {
    serde_json::to_value(record).ok()
}
