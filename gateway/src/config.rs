//! The gateway's configuration, read once per isolate.

use domain::keys::KeyRing;
use domain::vars::{VarError, Vars, flag, integer_or};
use edge::env::{EnvVars, METRICS};
use edge::feed::FEED;
use edge::isolate_config;
use edge::log::{Source, log};
use worker::Env;

/// Age at which a cached entry is read again, in ms, from its read or from the last poll of the change feed that confirmed
/// it. If the feed is away, a change is in force at most this long after KV shows it.
pub const MAX_AGE_MS: i64 = 10_000;

/// The gateway's settings.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Config {
    pub check_keys: KeyRing,
    pub credential_keys: KeyRing,
    /// Keys of derived tokens. If absent or not readable, there are none.
    pub derive_keys: Option<KeyRing>,
    /// Age up to which a cached entry may serve while KV cannot be read.
    pub stale_max_ms: i64,
    /// Time for which events are collected before they are sent. 0 sends each at once.
    pub usage_flush_ms: u32,
    /// Time for which an isolate lets a limited token's calls in by itself. 0 asks the counter for each.
    pub limit_lease_ms: i64,
    /// Time between two polls of the change feed. 0 is none: KV alone tells what has changed.
    pub feed_poll_ms: i64,
    pub allow_insecure_upstreams: bool,
    /// Whether upstreams learn each call's place in its trace.
    pub traces: bool,
    /// Whether each call is logged.
    pub log_calls: bool,
    /// Whether there is a `METRICS` binding.
    pub has_metrics: bool,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// The variable that is missing or cannot be read.
    pub fn from_vars(vars: &impl Vars) -> Result<Self, VarError> {
        Ok(Self {
            check_keys: KeyRing::from_vars(vars, "TOKEN_CHECK_KEY")?,
            credential_keys: KeyRing::from_vars(vars, "CREDENTIAL_KEY")?,
            derive_keys: derive_keys(vars).ok(),
            stale_max_ms: i64::from(integer_or(vars, "STALE_MAX_S", 300)?) * 1_000,
            usage_flush_ms: integer_or(vars, "USAGE_FLUSH_MS", 500)?.min(10_000),
            limit_lease_ms: integer_or(vars, "LIMIT_LEASE_MS", 2_000)?.min(10_000).into(),
            feed_poll_ms: integer_or(vars, "FEED_POLL_MS", 2_000)?.min(4_000).into(),
            allow_insecure_upstreams: flag(vars, "ALLOW_INSECURE_UPSTREAMS")?,
            traces: flag(vars, "TRACES")?,
            log_calls: flag(vars, "LOG_CALLS")?,
            has_metrics: false,
        })
    }

    isolate_config!(Config, |env: &Env| {
        let has = |binding: &str| js_sys::Reflect::has(env, &binding.into()).unwrap_or(false);
        let vars = EnvVars(env);
        // Calls with other tokens go on.
        if let Err(cause @ VarError::Invalid { .. }) = derive_keys(&vars) {
            log(Source::Isolate, "there are no derived tokens", &cause);
        }
        Self::from_vars(&vars).map(|config| Self {
            has_metrics: has(METRICS),
            feed_poll_ms: if has(FEED) { config.feed_poll_ms } else { 0 },
            ..config
        })
    });
}

fn derive_keys(vars: &impl Vars) -> Result<KeyRing, VarError> {
    KeyRing::from_vars(vars, "DERIVE_KEY")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn vars(extra: &[(&str, &str)]) -> HashMap<String, String> {
        [("TOKEN_CHECK_KEY", KEY), ("CREDENTIAL_KEY", KEY)]
            .iter()
            .chain(extra)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = Config::from_vars(&vars(&[])).unwrap();
        assert_eq!((config.stale_max_ms, config.usage_flush_ms), (300_000, 500));
        assert_eq!((config.limit_lease_ms, config.feed_poll_ms), (2_000, 2_000));
        assert!(!config.allow_insecure_upstreams);
    }

    #[test]
    fn a_mistyped_key_of_derived_tokens_refuses_those_alone() {
        let has_key = |key| Config::from_vars(&vars(&[("DERIVE_KEY", key)])).unwrap().derive_keys.is_some();
        assert_eq!([has_key(KEY), has_key("mistyped"), has_key("")], [true, false, false]);
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = Config::from_vars(&HashMap::new()).unwrap_err();
        assert_eq!(error, VarError::Missing("TOKEN_CHECK_KEY"));
        assert!(Config::from_vars(&vars(&[("STALE_MAX_S", "soon")])).is_err());
    }
}
