//! The change feed: a second way, beside KV, on which changes reach the gateway's isolates within seconds.
//!
//! The admin API appends each change to one object ([`Feed`]) while it writes KV. Each isolate of the gateway polls the
//! object and keeps what it was told ([`Follower`]) above what it reads from KV, which may be a minute older. [`Pulse`]
//! decides when an isolate polls, and whether what it holds is confirmed.
//!
//! Versions decide: neither the object nor an isolate replaces a value by one of an older version. A token's version and
//! the tables' only grow, even by a restore.

mod follower;
mod object;
mod pulse;

pub use follower::{Follower, News};
pub use object::{Feed, Part, Row};
pub use pulse::{CONFIRMED_MS, Look, Pulse, WAIT_MS};

use crate::time::MINUTE_MS;
use crate::token::TokenHash;
use serde::{Deserialize, Serialize};

/// The time for which a change is kept: far longer than KV takes to show one everywhere. An isolate that is further
/// behind starts over.
pub const KEPT_MS: i64 = 15 * MINUTE_MS;

/// The time for which the object's silence means that nothing has changed, from the last word of an admin API that tells
/// it of changes. The API's cron has a word each minute.
pub const FED_MS: i64 = 3 * MINUTE_MS;

/// The most tokens whose changes are kept. If more change within [`KEPT_MS`], those that changed first are known by KV
/// alone.
pub const MOST_KEPT: usize = 10_000;
/// The most bytes of tokens that are kept, likewise.
pub const MOST_BYTES: usize = 8_000_000;
/// The bytes of tokens after which a response ends: the isolate polls again for the rest.
const RESPONSE_BYTES: usize = 1_000_000;

/// The longest value of a token that is appended, in bytes: a row of the object holds two megabytes.
pub const MOST_VALUE: usize = 1_000_000;

/// A request to the object.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// By the publisher; the response is the object's place, a `u64`.
    Append(Append),
    /// By an isolate; the response is [`Changes`].
    Poll(Poll),
    /// By the comparison with D1, and by each run of the cron, so that the object knows that it is told of changes; the
    /// response is [`Held`].
    Glance(Glance),
}

/// One of the tables, of which only the newest is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// The route table.
    Routes,
    /// The prices of AI models.
    Prices,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 2] = [Self::Routes, Self::Prices];

    /// Returns the name under which the object saves it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Prices => "prices",
        }
    }
}

/// A value as KV holds it, with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// Version in D1.
    pub version: u64,
    /// The text that is written to KV.
    pub text: String,
}

/// Values to append. Those of an older version than the object holds are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// Records of tokens, tombstones included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<(TokenHash, Value)>,
    /// Newest tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<(Table, Value)>,
}

/// A question for what has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The place up to which the isolate knows all; `None` if it knows nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Versions of the tables that it holds: an older one is not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<(Table, u64)>,
}

/// A value and its place in the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its place, which grows with each value.
    pub seq: u64,
    /// Version in D1.
    pub version: u64,
    /// The text that is written to KV.
    pub text: String,
}

/// The response to a [`Poll`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The place up to which the isolate knows all now.
    pub seq: u64,
    /// Whether there is more after that place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    /// The place up to which nothing is kept any more.
    pub floor: u64,
    /// Whether the isolate's place is not known, so that this is everything that is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start_over: bool,
    /// Whether an admin API has told the object something within [`FED_MS`]: an older one tells it of no change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_fed: bool,
    /// Changed tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<(TokenHash, Placed)>,
    /// Changed tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<(Table, Placed)>,
}

/// A question for what the object holds of some subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glance {
    /// Tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenHash>,
    /// Tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
}

/// The response to a [`Glance`]: those of the subjects that are held.
pub type Held = Append;

#[cfg(test)]
mod tests;
