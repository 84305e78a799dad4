//! The admin API's configuration, read once per isolate.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::encoding::percent_decode;
use domain::keys::KeyRing;
use domain::people::clerk::WebhookSecret;
use domain::people::session::SessionRules;
use domain::secret::Secret;
use domain::time::DAY_MS;
use domain::upstream::address::{AddressRules, UpstreamUrl};
use domain::upstream::headers::is_settable;
use domain::vars::{VarError, Vars, flag, integer_or, list, required};
use edge::address;
use edge::env::EnvVars;
use edge::isolate_config;
use edge::log::{Source, log};

/// The shortest time for which raw calls may be kept, in days: a queue holds a message up to 14 days, and a call that
/// arrives that late is still to be listed.
const MIN_RETENTION_DAYS: u32 = 15;

/// The longest interval between two runs of the canary, in minutes: a day.
const MAX_CANARY_MIN: u32 = 1_440;

const CLERK_API_URL: &str = "https://api.clerk.com";
const TELEGRAM_API_URL: &str = "https://api.telegram.org";

#[derive(Debug)]
pub struct Config {
    pub check_keys: KeyRing,
    pub credential_keys: KeyRing,
    /// The gateway's keys of derived tokens. The API only tells which of them are in use, for their rotation. Keys that
    /// cannot be read stop nothing: health says so.
    pub derive_keys: Option<KeyRing>,
    /// If absent, there is no `/api/usage-log`.
    pub usage_log_keys: Option<KeyRing>,
    pub session: SessionRules,
    pub session_keys: SessionKeys,
    /// Clerk's Backend API; `None` if it is not used.
    pub clerk_api: Option<ClerkApi>,
    /// If absent, there are no webhooks.
    pub webhook_secret: Option<WebhookSecret>,
    /// User ids or verified e-mail addresses that count as platform admins.
    pub bootstrap_admins: Vec<String>,
    pub events_retention_ms: i64,
    /// How long vendors' words about errors are kept.
    pub errors_retention_ms: i64,
    /// Bytes that the database of usage may hold, if it is not D1's own limit.
    pub usage_db_bytes: Option<u64>,
    pub audit_retention_ms: i64,
    /// Minutes between two runs of the canary; 0 is none.
    pub canary_every_min: u32,
    /// The rules for addresses that people enter.
    pub addresses: AddressRules,
    /// The full name of the queue of dead letters.
    pub dead_letters_queue: String,
    /// Address of Telegram's bot API.
    pub telegram_url: String,
    /// The pause before an alert is sent again the first time, in ms; it doubles up to sixty times as much.
    pub alert_retry_ms: i64,
    /// The receiver of spans, if there is one. One that cannot be read stops nothing.
    pub telemetry: Option<Telemetry>,
    /// Whether each request is logged.
    pub log_calls: bool,
}

/// A receiver of OTLP over HTTP.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The address, without a slash at the end.
    pub endpoint: String,
    /// Headers of each request, which may hold a key.
    pub headers: Vec<(String, Secret)>,
    /// The name under which the gateway appears.
    pub service: String,
}

/// Clerk's Backend API.
#[derive(Clone, Debug)]
pub struct ClerkApi {
    /// The address, without a slash at the end.
    pub url: String,
    pub key: Secret,
}

/// The source of the keys that verify sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionKeys {
    /// DER of a `SubjectPublicKeyInfo`; needs no network.
    Pinned(Vec<u8>),
    /// The address of a JWKS.
    Jwks(String),
}

impl Config {
    pub fn from_vars(vars: &impl Vars) -> Result<Self, VarError> {
        let issuer = required(vars, "CLERK_ISSUER")?.trim().trim_end_matches('/').to_owned();
        let session_keys = match vars.get("CLERK_JWT_KEY") {
            Some(pem) => SessionKeys::Pinned(spki_of(&pem).ok_or(VarError::Invalid {
                name: "CLERK_JWT_KEY",
                wanted: "a public key in PEM (SubjectPublicKeyInfo)",
            })?),
            None => SessionKeys::Jwks(
                vars.get("CLERK_JWKS_URL").unwrap_or_else(|| format!("{issuer}/.well-known/jwks.json")),
            ),
        };
        let retention_days = integer_or(vars, "EVENTS_RETENTION_DAYS", 30)?.max(MIN_RETENTION_DAYS);
        Ok(Self {
            check_keys: KeyRing::from_vars(vars, "TOKEN_CHECK_KEY")?,
            credential_keys: KeyRing::from_vars(vars, "CREDENTIAL_KEY")?,
            derive_keys: derive_keys(vars).unwrap_or_default(),
            usage_log_keys: match vars.get("USAGE_LOG_KEY") {
                Some(_) => Some(KeyRing::from_vars(vars, "USAGE_LOG_KEY")?),
                None => None,
            },
            session: SessionRules { issuer, allowed_origins: list(vars, "ALLOWED_ORIGINS") },
            session_keys,
            clerk_api: vars.get("CLERK_SECRET_KEY").map(|key| ClerkApi {
                url: vars
                    .get("CLERK_API_URL")
                    .map_or_else(|| CLERK_API_URL.to_owned(), |url| url.trim_end_matches('/').to_owned()),
                key: Secret::new(key.trim().to_owned()),
            }),
            webhook_secret: match vars.get("CLERK_WEBHOOK_SECRET") {
                None => None,
                Some(text) => Some(WebhookSecret::parse(&text).ok_or(VarError::Invalid {
                    name: "CLERK_WEBHOOK_SECRET",
                    wanted: "a Svix secret, whsec_ and base64",
                })?),
            },
            bootstrap_admins: list(vars, "BOOTSTRAP_ADMINS"),
            events_retention_ms: i64::from(retention_days) * DAY_MS,
            errors_retention_ms: i64::from(integer_or(vars, "ERRORS_RETENTION_DAYS", 7)?.max(1)) * DAY_MS,
            usage_db_bytes: match vars.get("USAGE_DB_BYTES") {
                // Less would delete every raw call.
                Some(_) => Some(u64::from(integer_or(vars, "USAGE_DB_BYTES", 0)?).max(1_000_000)),
                None => None,
            },
            audit_retention_ms: i64::from(integer_or(vars, "AUDIT_RETENTION_DAYS", 400)?) * DAY_MS,
            canary_every_min: integer_or(vars, "CANARY_EVERY_MIN", 1)?.min(MAX_CANARY_MIN),
            addresses: address::rules(flag(vars, "ALLOW_INSECURE_UPSTREAMS")?),
            dead_letters_queue: vars.get("DEAD_LETTERS_QUEUE").unwrap_or_default(),
            telegram_url: vars.get("TELEGRAM_API_URL").unwrap_or_else(|| TELEGRAM_API_URL.to_owned()),
            alert_retry_ms: i64::from(integer_or(vars, "ALERT_RETRY_MS", 60_000)?),
            telemetry: telemetry(vars).unwrap_or_default(),
            log_calls: flag(vars, "LOG_CALLS")?,
        })
    }

    isolate_config!(Config, |env| {
        let vars = EnvVars(env);
        if let Err(cause) = derive_keys(&vars) {
            log(Source::Isolate, "there are no derived tokens", &cause);
        }
        if let Err(cause) = telemetry(&vars) {
            log(Source::Isolate, "no spans are sent", &cause);
        }
        Config::from_vars(&vars)
    });

    /// Returns whether `origin` is one of `ALLOWED_ORIGINS`, compared exactly; there is no wildcard.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.session.allowed_origins.iter().any(|allowed| allowed == origin)
    }
}

// As OpenTelemetry names its settings.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// Reads the receiver of spans; `None` if there is none.
///
/// # Errors
/// An address that an upstream may not have either, or headers that are not `name=value,name=value`.
fn telemetry(vars: &impl Vars) -> Result<Option<Telemetry>, VarError> {
    let Some(endpoint) = vars.get(OTLP_ENDPOINT) else { return Ok(None) };
    let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
    let rules = address::rules(flag(vars, "ALLOW_INSECURE_UPSTREAMS")?);
    let wanted = "the address of a receiver of OTLP over HTTP, such as https://otlp.example.com";
    UpstreamUrl::parse(&endpoint, rules).map_err(|_| VarError::Invalid { name: OTLP_ENDPOINT, wanted })?;
    let header = |pair: String| {
        let (name, value) = pair.split_once('=')?;
        let value = String::from_utf8(percent_decode(value.trim().as_bytes())).ok()?;
        let is_printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let name = name.trim().to_owned();
        (is_printable && is_settable(&name)).then(|| (name, Secret::new(value)))
    };
    let headers: Option<Vec<_>> = list(vars, OTLP_HEADERS).into_iter().map(header).collect();
    let wanted = "name=value, separated by commas";
    Ok(Some(Telemetry {
        endpoint,
        headers: headers.ok_or(VarError::Invalid { name: OTLP_HEADERS, wanted })?,
        service: vars.get("OTEL_SERVICE_NAME").unwrap_or_else(|| "token-manager".to_owned()),
    }))
}

/// Reads the keys of derived tokens; `None` if there are none.
///
/// # Errors
/// Keys that cannot be read.
pub fn derive_keys(vars: &impl Vars) -> Result<Option<KeyRing>, VarError> {
    vars.get("DERIVE_KEY").map(|_| KeyRing::from_vars(vars, "DERIVE_KEY")).transpose()
}

/// Extracts the DER from a PEM block. Line breaks may be written `\n`, as in one-line variables.
fn spki_of(pem: &str) -> Option<Vec<u8>> {
    let pem = pem.replace("\\n", "\n");
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let body = body.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok().filter(|der| !der.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn vars(extra: &[(&str, &str)]) -> HashMap<String, String> {
        [("TOKEN_CHECK_KEY", KEY), ("CREDENTIAL_KEY", KEY), ("CLERK_ISSUER", "https://clerk.example/")]
            .iter()
            .chain(extra)
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = Config::from_vars(&vars(&[])).unwrap();
        assert_eq!(config.session.issuer, "https://clerk.example");
        assert_eq!(
            config.session_keys,
            SessionKeys::Jwks("https://clerk.example/.well-known/jwks.json".into())
        );
        assert_eq!((config.events_retention_ms, config.errors_retention_ms), (30 * DAY_MS, 7 * DAY_MS));
        assert!(!config.addresses.allow_insecure && config.bootstrap_admins.is_empty());
        assert_eq!(config.canary_every_min, 1);
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let config =
            Config::from_vars(&vars(&[("ALLOWED_ORIGINS", "https://ui.example, http://localhost:1")]))
                .unwrap();
        assert!(config.allows_origin("https://ui.example") && config.allows_origin("http://localhost:1"));
        for origin in ["*", "null", "", "https://ui.example.evil.example", "https://ui.example/"] {
            assert!(!config.allows_origin(origin), "{origin}");
        }
    }

    #[test]
    fn a_pinned_key_needs_no_network() {
        let pem = "-----BEGIN PUBLIC KEY-----\\nAQID\\n-----END PUBLIC KEY-----\\n";
        let config = Config::from_vars(&vars(&[("CLERK_JWT_KEY", pem)])).unwrap();
        assert_eq!(config.session_keys, SessionKeys::Pinned(vec![1, 2, 3]));
        assert!(Config::from_vars(&vars(&[("CLERK_JWT_KEY", "AQID")])).is_err());
    }

    #[test]
    fn a_mistyped_key_of_derived_tokens_stops_nothing() {
        let config = Config::from_vars(&vars(&[("DERIVE_KEY", "mistyped")])).unwrap();
        assert!(config.derive_keys.is_none() && derive_keys(&vars(&[("DERIVE_KEY", "mistyped")])).is_err());
        assert!(Config::from_vars(&vars(&[("DERIVE_KEY", KEY)])).unwrap().derive_keys.is_some());
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(Config::from_vars(&HashMap::new()).unwrap_err(), VarError::Missing("CLERK_ISSUER"));
    }

    #[test]
    fn events_outlive_the_queue() {
        let config = Config::from_vars(&vars(&[("EVENTS_RETENTION_DAYS", "1")])).unwrap();
        assert_eq!(config.events_retention_ms, 15 * DAY_MS);
    }
}
