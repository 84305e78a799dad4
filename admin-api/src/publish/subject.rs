//! The subjects of publication, with their names in the outbox.

use domain::id::TokenId;
use serde::Serialize;

/// The time in which the writer of a change may publish it before the cron does.
pub const WRITER_LEASE_MS: i64 = 30_000;

/// The id of an outbox row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RowId(pub String);

/// A unit of publication.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All secrets of a token.
    Token(TokenId),
    /// The route table.
    Routes,
    /// The prices of AI models.
    Prices,
}

/// [`Subject::Routes`] as a type.
#[derive(Clone, Copy, Debug)]
pub struct RouteTable;

/// [`Subject::Prices`] as a type.
#[derive(Clone, Copy, Debug)]
pub struct PriceTable;

impl From<TokenId> for Subject {
    fn from(id: TokenId) -> Self {
        Self::Token(id)
    }
}

impl From<RouteTable> for Subject {
    fn from(_: RouteTable) -> Self {
        Self::Routes
    }
}

impl From<PriceTable> for Subject {
    fn from(_: PriceTable) -> Self {
        Self::Prices
    }
}

impl Subject {
    /// Returns the kind and entity id in the outbox.
    pub fn key(&self) -> (&'static str, &str) {
        match self {
            Self::Token(id) => ("token", id.as_str()),
            Self::Routes => ("routes", ""),
            Self::Prices => ("prices", ""),
        }
    }
}
