//! This Worker's access to the change feed, on which changes reach the gateway's isolates before KV shows them.

use domain::feed::{Append, Command, Glance, Held, MOST_VALUE, Table, Value};
use domain::token::TokenHash;
use edge::log::{Source, log};
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use worker::Env;

/// The reason why a change is not in the feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The feed cannot be reached, or it could not be reached a moment ago.
    #[error("change feed: {0}")]
    Away(String),
    /// The value can never be appended.
    #[error("change feed: {0}")]
    Refused(String),
}

/// The feed. An invocation that has found it away does not ask it again.
#[derive(Clone, Debug)]
pub struct Feed {
    env: Env,
    is_away: Rc<Cell<bool>>,
}

/// Makes the value that is appended: the text that KV holds, and its version.
pub fn value(version: u64, value: &impl Serialize) -> Result<Value, FeedError> {
    let text = serde_json::to_string(value).map_err(|e| FeedError::Refused(e.to_string()))?;
    Ok(Value { version, text })
}

impl Feed {
    pub fn new(env: &Env) -> Self {
        Self { env: env.clone(), is_away: Rc::default() }
    }

    /// Appends records of tokens.
    pub async fn append_tokens(&self, tokens: Vec<(TokenHash, Value)>) -> Result<(), FeedError> {
        if tokens.is_empty() {
            return Ok(());
        }
        if tokens.iter().any(|(_, value)| value.text.len() > MOST_VALUE) {
            return Err(FeedError::Refused("a record is too long".to_owned()));
        }
        self.append(Append { tokens, tables: vec![] }).await
    }

    /// Appends a table.
    pub async fn append_table(
        &self,
        table: Table,
        version: u64,
        text: &impl Serialize,
    ) -> Result<(), FeedError> {
        self.append(Append { tokens: vec![], tables: vec![(table, value(version, text)?)] }).await
    }

    async fn append(&self, append: Append) -> Result<(), FeedError> {
        if self.is_away.get() {
            return Err(FeedError::Away("not tried in this run".to_owned()));
        }
        let appended: Result<u64, String> = edge::feed::ask(&self.env, &Command::Append(append)).await;
        appended.map(drop).map_err(|cause| {
            self.is_away.set(true);
            FeedError::Away(cause)
        })
    }

    /// Returns what the feed holds of some subjects; nothing if it cannot be reached.
    pub async fn glance(&self, at: Glance, who: Source<'_>) -> Held {
        if self.is_away.get() {
            return Held::default();
        }
        edge::feed::ask(&self.env, &Command::Glance(at)).await.unwrap_or_else(|cause| {
            self.is_away.set(true);
            log(who, "the change feed cannot be compared", &cause);
            Held::default()
        })
    }
}
