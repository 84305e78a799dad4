//! An isolate's side of the feed: the changes that it was told of.

use super::{Changes, MOST_KEPT, Placed, Poll, Table};
use crate::token::TokenHash;
use std::collections::HashMap;

/// The changes that an isolate was told of and must not forget while KV may show something older.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    since: Option<u64>,
    tokens: HashMap<TokenHash, Placed>,
}

/// The consequences of a response for an isolate's caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Whether the isolate may have missed changes: its cached tokens and its table are read again.
    pub start_over: bool,
    /// Tokens that have changed; [`Follower::token`] has their values.
    pub tokens: Vec<TokenHash>,
    /// Tables that have changed.
    pub tables: Vec<(Table, Placed)>,
}

impl News {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        !self.start_over && self.tokens.is_empty() && self.tables.is_empty()
    }
}

impl Follower {
    /// Asks for what has changed since the last response. `tables` are the versions that the isolate holds.
    pub fn poll(&self, tables: Vec<(Table, u64)>) -> Poll {
        Poll { since: self.since, tables }
    }

    /// Takes a response in. One that is older than what is known, since its poll was overtaken, brings nothing.
    pub fn take(&mut self, changes: Changes) -> News {
        let knows_more = self.since.is_some_and(|since| since > changes.seq);
        if knows_more && !changes.start_over {
            return News::default();
        }
        let start_over = changes.start_over && self.since.is_some();
        if changes.start_over {
            // KV may still show something older. They are let go with the first place that this feed lets go.
            self.tokens.values_mut().for_each(|told| told.seq = changes.seq.saturating_add(1));
            if self.tokens.len() > MOST_KEPT {
                self.tokens.clear();
            }
        }
        self.since = Some(changes.seq);
        self.tokens.retain(|_, told| told.seq > changes.floor);
        let tokens = changes.tokens.iter().map(|(hash, _)| hash.clone()).collect();
        self.tokens.extend(changes.tokens);
        News { start_over, tokens, tables: changes.tables }
    }

    /// Returns what the feed has told of a token, if that is newer than `version`; `None` is a token that is not known.
    pub fn token(&self, hash: &TokenHash, version: Option<u64>) -> Option<&str> {
        let told = self.tokens.get(hash)?;
        version.is_none_or(|version| version < told.version).then_some(told.text.as_str())
    }
}
