//! The KV namespace that the admin API writes and the gateway reads.

use crate::timeout::within;
use domain::access::record::TokenRecord;
use domain::ai::price::{PRICES_KEY, PriceList};
use domain::kv::{ROUTES_KEY, RouteTableV2, TOKEN_PREFIX};
use domain::token::TokenHash;
use worker::Env;
use worker::kv::{KvError, KvStore};

/// The namespace's binding.
const TOKENS: &str = "TOKENS";
/// A read that takes longer counts as failed, in ms.
pub const READ_TIMEOUT_MS: u64 = 5_000;

/// A kind of entry: its place in KV and the type of its value. A `()` key means that there is only one
/// such entry, under the prefix itself.
pub trait Entry {
    /// The beginning of every key of this kind.
    const PREFIX: &'static str;
    /// The part of the key that tells entries of this kind apart.
    type Key: ?Sized;
    /// The value, as it is written or read.
    type Value;

    /// Returns the text of `key`, without the prefix.
    fn name(key: &Self::Key) -> &str;

    /// Returns the whole key.
    fn key(key: &Self::Key) -> String {
        [Self::PREFIX, Self::name(key)].concat()
    }
}

/// One token, found by the hash of its secret.
#[derive(Debug)]
pub enum Token {}

impl Entry for Token {
    const PREFIX: &'static str = TOKEN_PREFIX;
    type Key = TokenHash;
    type Value = TokenRecord;

    fn name(key: &TokenHash) -> &str {
        key.as_str()
    }
}

/// The route table.
#[derive(Debug)]
pub enum Routes {}

impl Entry for Routes {
    const PREFIX: &'static str = ROUTES_KEY;
    type Key = ();
    type Value = RouteTableV2;

    fn name((): &()) -> &'static str {
        ""
    }
}

/// The prices of AI models.
#[derive(Debug)]
pub enum Prices {}

impl Entry for Prices {
    const PREFIX: &'static str = PRICES_KEY;
    type Key = ();
    type Value = PriceList;

    fn name((): &()) -> &'static str {
        ""
    }
}

/// Opens the namespace.
///
/// # Errors
/// The cause, if there is no such binding.
pub fn open(env: &Env) -> Result<KvStore, String> {
    env.kv(TOKENS).map_err(|e| e.to_string())
}

/// Waits for one operation, but no longer than `ms` milliseconds.
///
/// # Errors
/// The cause, as the platform words it, or "timed out".
pub async fn timed<T>(ms: u64, operation: impl Future<Output = Result<T, KvError>>) -> Result<T, String> {
    within(ms, operation).await?.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of the earlier system lie under the same keys, and `scripts` write them by name.
    #[test]
    fn keys_are_the_documented_ones() {
        let hash: TokenHash = serde_json::from_value("a".repeat(64).into()).unwrap();
        assert_eq!(Token::key(&hash), format!("token:{}", hash.as_str()));
        assert_eq!((Routes::key(&()), Prices::key(&())), ("routes".to_owned(), "prices".to_owned()));
    }
}
