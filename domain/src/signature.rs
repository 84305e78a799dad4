//! `X-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA-256 over `<t>.<body>` (the scheme of Stripe's
//! webhooks). A header may hold several `v1`; one that is right is enough.

use crate::encoding::from_hex;
use crate::keys::KeyRing;
use crate::mac;
use crate::time::{MINUTE_MS, SECOND_MS, UnixMs};

/// How far the signer's clock may be off, either way.
pub const TOLERANCE_MS: i64 = 5 * MINUTE_MS;

/// Why a signature is refused. The caller is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SignatureError {
    #[error("is not `t=<unix seconds>,v1=<hex>`")]
    Malformed,
    #[error("is older or newer than five minutes")]
    Time,
    #[error("does not fit the body")]
    Mismatch,
}

/// Checks `header` over `body` with any of `keys`, in constant time.
pub fn verify(header: &str, body: &[u8], keys: &KeyRing, now: UnixMs) -> Result<(), SignatureError> {
    let parts: Vec<(&str, &str)> = header.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let time = parts.iter().find(|(name, _)| *name == "t").ok_or(SignatureError::Malformed)?.1;
    let seconds: i64 = time.parse().map_err(|_| SignatureError::Malformed)?;
    let at = seconds.checked_mul(SECOND_MS).ok_or(SignatureError::Malformed)?;
    if !(-TOLERANCE_MS..=TOLERANCE_MS).contains(&now.saturating_sub(at)) {
        return Err(SignatureError::Time);
    }
    let given: Vec<Vec<u8>> =
        parts.iter().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| from_hex(hex)).collect();
    if given.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let parts = [time.as_bytes(), b".", body];
    let fits = keys.iter().any(|key| given.iter().any(|tag| mac::is_tag(tag, key.expose(), &parts)));
    if fits { Ok(()) } else { Err(SignatureError::Mismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn keys() -> KeyRing {
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let vars: HashMap<String, String> = [("K".to_owned(), key.to_owned())].into();
        KeyRing::from_vars(&vars, "K").unwrap()
    }

    /// Made with: printf '1700000000.{}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00…00 (32 bytes)
    const MAC: &str = "a9dc44c8eda3de70e9cbf3e488895f1abc26acb1461d3124a3cb886af35251cf";

    #[test]
    fn a_signature_made_by_openssl_holds() {
        let header = format!("t=1700000000,v1={MAC}");
        assert_eq!(verify(&header, b"{}", &keys(), 1_700_000_000_000), Ok(()));
        let several = format!("t=1700000000, v1=00, v1={MAC}");
        assert_eq!(verify(&several, b"{}", &keys(), 1_700_000_299_000), Ok(()));
    }

    #[test]
    fn anything_else_does_not() {
        let header = format!("t=1700000000,v1={MAC}");
        assert_eq!(verify(&header, b"{ }", &keys(), 1_700_000_000_000), Err(SignatureError::Mismatch));
        assert_eq!(verify(&header, b"{}", &keys(), 1_700_000_301_000), Err(SignatureError::Time));
        assert_eq!(verify(&header, b"{}", &keys(), 1_699_999_000_000), Err(SignatureError::Time));
        let moved = format!("t=1700000001,v1={MAC}");
        assert_eq!(verify(&moved, b"{}", &keys(), 1_700_000_000_000), Err(SignatureError::Mismatch));
        for malformed in [
            "",
            "t=,v1=",
            "t=x,v1=00",
            "v1=00",
            "t=1700000000",
            "t=1700000000,v1=0",
            "t=9223372036854775807,v1=00",
        ] {
            assert!(verify(malformed, b"{}", &keys(), 1_700_000_000_000).is_err(), "{malformed}");
        }
    }
}
