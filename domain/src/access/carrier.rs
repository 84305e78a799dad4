//! Carriers: the headers in which a client sends its token, and the token in them.

use super::derived::Bearer;
use crate::keys::KeyRing;
use crate::token::{Form, PREFIX, SIGNED_LEN, TokenSecret, begins_as_ours};

/// The header that held our token. It is removed before the call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `X-API-Key: <token>`
    XApiKey,
    /// `Authorization: Bearer <token>`, or `Basic` with the token as user name or password.
    Authorization,
    /// `Api-Key: <token>`, as Azure's clients send it.
    ApiKey,
    /// `X-Goog-Api-Key: <token>`, as Google's clients send it.
    XGoogApiKey,
    /// A browser's WebSocket can send no other header.
    WebSocketProtocol,
}

impl Carrier {
    /// In the order in which they are looked at.
    pub const ALL: [Self; 5] =
        [Self::XApiKey, Self::Authorization, Self::ApiKey, Self::XGoogApiKey, Self::WebSocketProtocol];

    /// Returns the header's name in lower case.
    pub fn header(self) -> &'static str {
        match self {
            Self::XApiKey => "x-api-key",
            Self::Authorization => "authorization",
            Self::ApiKey => "api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::WebSocketProtocol => "sec-websocket-protocol",
        }
    }

    /// Returns the token in this header's value. `X-API-Key` is always ours. The others are only if the value begins with
    /// `ntk_` or `ntd_`, because vendors' own clients send other keys there.
    pub fn token_in(self, value: &str) -> Option<&str> {
        match self {
            Self::XApiKey => Some(value.trim()).filter(|v| !v.is_empty()),
            Self::Authorization => {
                let (scheme, token) = value.trim().split_once(' ')?;
                let token = token.trim();
                if scheme.eq_ignore_ascii_case(SIGV4_SCHEME) {
                    return token_in_signature(token);
                }
                (scheme.eq_ignore_ascii_case("bearer") && begins_as_ours(token.as_bytes())).then_some(token)
            }
            Self::ApiKey | Self::XGoogApiKey => Some(value.trim()).filter(|v| begins_as_ours(v.as_bytes())),
            Self::WebSocketProtocol => value.split(',').find_map(token_in_protocol),
        }
    }
}

/// Why none of a call's headers names a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPresented {
    /// No carrier holds anything that is meant for us.
    Missing,
    /// A carrier that is always ours holds something else than one of our tokens.
    Invalid,
}

/// The token that a call presents, and the header that held it.
///
/// Clients send keys of several services at once, so every carrier is looked at until one holds a token whose check is
/// right. A legacy token, which has no check, counts only if there is no such token. The first one found decides: if it
/// has expired or was revoked the call is refused and no other is tried, so that nobody unknowingly uses another token
/// than the one they mean.
pub fn presented<H: AsRef<str>>(
    header: impl Fn(&str) -> Option<H>,
    keys: &KeyRing,
) -> Result<(Carrier, TokenSecret), NotPresented> {
    first(header, |text| {
        let token = TokenSecret::parse(text, keys).ok()?;
        Some((token.form(), token))
    })
}

/// Does the same as [`presented`], and accepts a token that was derived from another, too.
pub fn presented_or_derived<H: AsRef<str>>(
    header: impl Fn(&str) -> Option<H>,
    keys: &KeyRing,
    derive_keys: Option<&KeyRing>,
) -> Result<(Carrier, Bearer), NotPresented> {
    first(header, |text| {
        let bearer = Bearer::parse(text, keys, derive_keys)?;
        Some((bearer.form(), bearer))
    })
}

/// Returns the token in `?key=`, as some of Google's clients send it. It counts only on a route that allows it. A token of
/// the legacy form, which has no check, never counts: anybody could make them up.
pub fn presented_in_query(query: &str, keys: &KeyRing, derive_keys: Option<&KeyRing>) -> Option<Bearer> {
    let values = query.split('&').filter_map(|pair| pair.strip_prefix("key="));
    let tokens = values.filter_map(|text| Bearer::parse(text, keys, derive_keys));
    tokens.into_iter().find(|bearer| bearer.form() == Form::Current)
}

fn first<H: AsRef<str>, T>(
    header: impl Fn(&str) -> Option<H>,
    parse: impl Fn(&str) -> Option<(Form, T)>,
) -> Result<(Carrier, T), NotPresented> {
    let mut refused = NotPresented::Missing;
    let mut legacy = None;
    for carrier in Carrier::ALL {
        let Some(value) = header(carrier.header()) else { continue };
        let Some(text) = carrier.token_in(value.as_ref()) else { continue };
        match parse(text) {
            Some((Form::Current, token)) => return Ok((carrier, token)),
            Some((Form::Legacy, token)) => legacy = legacy.or(Some((carrier, token))),
            None => refused = NotPresented::Invalid,
        }
    }
    legacy.ok_or(refused)
}

const SIGV4_SCHEME: &str = "AWS4-HMAC-SHA256";

/// Returns the token that a client of AWS has as its access key id. The signature itself is not checked: the token's
/// check is enough.
fn token_in_signature(parameters: &str) -> Option<&str> {
    let credential = parameters.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next().filter(|id| begins_as_ours(id.as_bytes()))
}

/// Returns the token in one offered protocol: alone, or after a vendor's prefix as `OpenAI`'s clients write it,
/// `openai-insecure-api-key.ntk_…`.
fn token_in_protocol(protocol: &str) -> Option<&str> {
    let last = protocol.trim().rsplit('.').next().unwrap_or_default();
    begins_as_ours(last.as_bytes()).then_some(last)
}

/// How `OpenAI`'s clients send a key as an offered protocol.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// Returns the protocols that go on to the upstream: those offered without a token, and without any other key
/// if the route `has_credential`.
pub fn protocols_without_token(offered: &str, has_credential: bool) -> Option<String> {
    let is_key = |protocol: &str| has_credential && protocol.starts_with(KEY_PROTOCOL);
    let rest: Vec<&str> = offered
        .split(',')
        .map(str::trim)
        .filter(|p| !holds_token(p) && !is_key(p) && !p.is_empty())
        .collect();
    (!rest.is_empty()).then(|| rest.join(", "))
}

/// Whether `text` holds one of our tokens, in any form: if a client sends its token twice, the second copy must not be
/// forwarded.
pub fn holds_token(text: &str) -> bool {
    // Every header of every call is looked at, and nearly none has it.
    if !text.as_bytes().windows(PREFIX.len()).any(begins_as_ours) {
        return false;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let starts =
        text.as_bytes().windows(PREFIX.len()).enumerate().filter(|(_, window)| begins_as_ours(window));
    starts.filter_map(|(at, _)| text.split_at_checked(at)).any(|(before, from)| {
        let is_word = !before.ends_with(is_part);
        is_word || from.find(|c| !is_part(c)).unwrap_or(from.len()) >= SIGNED_LEN
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key256;
    use crate::token::mint;

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(Key256::new([byte; 32]), vec![])
    }

    #[test]
    fn carriers_take_only_what_is_ours() {
        assert_eq!(Carrier::XApiKey.token_in(" anything "), Some("anything"));
        assert_eq!(Carrier::XApiKey.token_in(" "), None);
        assert_eq!(Carrier::Authorization.token_in("bearer  ntk_x"), Some("ntk_x"));
        assert_eq!(Carrier::Authorization.token_in("Bearer sk-x"), None);
        assert_eq!(Carrier::Authorization.token_in("Basic ntk_x"), None);
        let signed = |id| {
            format!(
                "AWS4-HMAC-SHA256 Credential={id}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=ab"
            )
        };
        assert_eq!(Carrier::Authorization.token_in(&signed("ntk_x")), Some("ntk_x"));
        assert_eq!(Carrier::Authorization.token_in(&signed("AKIDEXAMPLE")), None);
        assert_eq!(Carrier::ApiKey.token_in("ntk_x"), Some("ntk_x"));
        assert_eq!(Carrier::XGoogApiKey.token_in("AIza"), None);
        let offered = "realtime, openai-insecure-api-key.ntk_x, openai-beta.realtime-v1";
        assert_eq!(Carrier::WebSocketProtocol.token_in(offered), Some("ntk_x"));
        assert_eq!(Carrier::WebSocketProtocol.token_in("chat, ntk_x"), Some("ntk_x"));
        assert_eq!(Carrier::WebSocketProtocol.token_in("realtime"), None);
        let rest = |offered, has_credential| protocols_without_token(offered, has_credential);
        assert_eq!(rest(offered, false).as_deref(), Some("realtime, openai-beta.realtime-v1"));
        assert_eq!(rest("ntk_x", false), None);
        assert_eq!(rest("a, openai-insecure-api-key.sk-own", true).as_deref(), Some("a"));
        assert_eq!(
            rest("openai-insecure-api-key.sk-own", false).as_deref(),
            Some("openai-insecure-api-key.sk-own")
        );
    }

    /// Claude Code sends a stale `X-API-Key` beside a good bearer.
    #[test]
    fn every_carrier_is_looked_at_until_one_holds_a_token_of_ours() {
        let (a, b) = (mint([1; 32], &ring(1)).unwrap(), mint([2; 32], &ring(1)).unwrap());
        let foreign = mint([3; 32], &ring(9)).unwrap();
        let legacy = format!("ntk_{}", "x".repeat(43));
        let bearer = |token: &str| format!("Bearer {token}");
        let found = |headers: &[(&str, &str)]| {
            let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            presented(header, &ring(1)).map(|(carrier, token)| (carrier, token.expose().to_owned()))
        };
        let good = bearer(a.expose());
        let ours = Ok((Carrier::Authorization, a.expose().to_owned()));
        for stale in ["sk-ant-x", "", foreign.expose(), "ntk_short", &legacy] {
            assert_eq!(found(&[("x-api-key", stale), ("authorization", &good)]), ours, "{stale}");
        }
        let first = Ok((Carrier::XApiKey, b.expose().to_owned()));
        assert_eq!(found(&[("x-api-key", b.expose()), ("authorization", &good)]), first, "the first of two");
        assert_eq!(found(&[("x-api-key", &legacy)]), Ok((Carrier::XApiKey, legacy.clone())));
        assert_eq!(found(&[("x-api-key", "sk-x")]), Err(NotPresented::Invalid));
        assert_eq!(
            found(&[("authorization", "Bearer sk-x"), ("api-key", "own")]),
            Err(NotPresented::Missing)
        );
    }

    #[test]
    fn only_a_checked_token_counts_in_the_query() {
        let token = mint([1; 32], &ring(1)).unwrap();
        let foreign = mint([3; 32], &ring(9)).unwrap();
        let legacy = format!("ntk_{}", "x".repeat(43));
        let found =
            |query: &str| presented_in_query(query, &ring(1), None).map(|bearer| bearer.expose().to_owned());
        let ours = Some(token.expose().to_owned());
        for query in ["key={}", "alt=sse&key={}", "key=AIza&key={}&a=1"] {
            assert_eq!(found(&query.replace("{}", token.expose())), ours, "{query}");
        }
        for query in ["", "key", "key=", "key=AIza", "Key={}", "api_key={}", "a=key={}", "key=x{}", "key={}x"]
        {
            assert_eq!(found(&query.replace("{}", token.expose())), None, "{query}");
        }
        for text in [foreign.expose(), &legacy, "ntd_x"] {
            assert_eq!(found(&format!("key={text}")), None, "{text}");
        }
    }

    #[test]
    fn a_second_token_is_seen_in_any_form() {
        let whole = format!("sk-ntk_{}", "x".repeat(43));
        let texts = [
            "ntk_x",
            "Bearer ntk_x",
            "bearer  ntk_x",
            "a, realtime.ntk_x",
            "\"ntk_x\"",
            "key=ntk_x",
            "Bearer ntd_x",
            "key=ntd_x",
            &whole,
        ];
        for text in texts {
            assert!(holds_token(text), "{text}");
        }
        assert!(!holds_token("Bearer sk-ntk_x") && !holds_token("ntk"));
    }
}
