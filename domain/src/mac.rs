//! HMAC-SHA-256 (RFC 2104), over parts as if they were one text.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC takes a key of any length, so this is never `None`.
fn over(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

/// Computes the tag of 32 bytes. `None` only if HMAC refused the key, which it does not.
pub fn tag(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    over(key, parts).map(|mac| mac.finalize().into_bytes().into())
}

/// Whether `tag` is that of the parts; compared in constant time.
pub fn is_tag(tag: &[u8], key: &[u8], parts: &[&[u8]]) -> bool {
    over(key, parts).is_some_and(|mac| mac.verify_slice(tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::hex;

    /// RFC 4231, section 4.3 (test case 2).
    #[test]
    fn the_rfcs_vector_holds_in_parts_too() {
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let tag = tag(b"Jefe", &parts).unwrap();
        assert_eq!(hex(&tag), wanted);
        assert!(is_tag(&tag, b"Jefe", &[b"what do ya want for nothing?"]));
        assert!(!is_tag(&tag, b"jefe", &parts) && !is_tag(&tag[..31], b"Jefe", &parts));
    }
}
