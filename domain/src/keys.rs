//! Keys of the installation and their rotation.

use crate::collect;
use crate::encoding::{from_base64, hex};
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::vars::{VarError, Vars, required};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One 256-bit key. `Debug` shows nothing.
#[derive(Clone)]
pub struct Key256([u8; 32]);

impl Key256 {
    /// Makes a key of its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key itself. Every call site is a place to look at in a review.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns a fingerprint that tells keys apart without showing one: 64 bits of the SHA-256 of a name and the key, in
    /// hex. A key has 256 random bits, so the fingerprint reveals nothing of it.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new().chain_update("token-manager key").chain_update(self.0).finalize();
        hex(digest.first_chunk::<8>().unwrap_or(&[0; 8]))
    }
}

impl std::fmt::Debug for Key256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key256(redacted)")
    }
}

/// A rotating set of keys: the first is used for what is new, all are tried for what exists.
/// Never empty.
#[derive(Clone, Debug)]
pub struct KeyRing {
    first: Key256,
    older: Vec<Key256>,
}

impl KeyRing {
    /// Makes a ring of the key in use and those that it replaced.
    pub fn new(first: Key256, older: Vec<Key256>) -> Self {
        Self { first, older }
    }

    /// Reads base64 keys of 32 bytes, comma separated.
    pub fn from_vars(vars: &impl Vars, name: &'static str) -> Result<Self, VarError> {
        let invalid =
            VarError::Invalid { name, wanted: "one or more base64 keys of 32 bytes, comma separated" };
        let text = Secret::new(required(vars, name)?);
        let mut keys = Vec::new();
        for part in text.expose().split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let bytes = from_base64(part).ok_or_else(|| invalid.clone())?;
            keys.push(Key256(bytes.try_into().map_err(|_| invalid.clone())?));
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(invalid)?;
        Ok(Self { first, older: keys.collect() })
    }

    /// Returns the key that is used for what is new.
    pub fn first(&self) -> &Key256 {
        &self.first
    }

    /// Returns all keys, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Key256> {
        std::iter::once(&self.first).chain(&self.older)
    }

    /// Returns the fingerprints of all keys in their order, comma separated.
    pub fn fingerprints(&self) -> String {
        self.iter().map(Key256::fingerprint).collect::<Vec<_>>().join(",")
    }
}

/// The time since which the first key of each secret has been the first, by the key's fingerprint.
pub type LedSince = BTreeMap<String, BTreeMap<String, UnixMs>>;

/// Returns that time for each key that is in use now (fingerprints by secret, the leading one first). A key that leads
/// already keeps its time, whatever other secrets do. A new one leads since `at`.
pub fn led_since(known: &LedSince, at_work: &BTreeMap<&str, Option<String>>, at: UnixMs) -> LedSince {
    let first = |list: &String| list.split(',').next().unwrap_or_default().to_owned();
    let entry = |(name, list): (&&str, &Option<String>)| {
        let key = first(list.as_ref()?);
        let since = known.get(*name).and_then(|keys| keys.get(&key)).copied().unwrap_or(at);
        Some(((*name).to_owned(), collect::map([(key, since)])))
    };
    collect::map(at_work.iter().filter_map(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64;
    use std::collections::HashMap;

    fn vars(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_error_names_the_variable_and_not_its_value() {
        let error = KeyRing::from_vars(&vars(&[("K", "c2hvcnQ=")]), "K").unwrap_err().to_string();
        assert!(error.contains('K') && !error.contains("c2hvcnQ"), "{error}");
        assert_eq!(KeyRing::from_vars(&vars(&[]), "K").unwrap_err(), VarError::Missing("K"));
    }

    #[test]
    fn the_first_key_leads_and_all_are_kept() {
        let (a, b) = (base64(&[1; 32]), base64(&[2; 32]));
        let ring = KeyRing::from_vars(&vars(&[("K", &format!("{a}, {b}"))]), "K").unwrap();
        assert_eq!(ring.first().expose(), &[1; 32]);
        assert_eq!(ring.iter().count(), 2);
    }

    #[test]
    fn a_fingerprint_tells_keys_apart_and_shows_none() {
        let (a, b) = (Key256::new([1; 32]).fingerprint(), Key256::new([2; 32]).fingerprint());
        assert!(a != b && a.len() == 16 && !a.contains("0101"));
    }

    #[test]
    fn a_key_leads_since_it_came_first_whatever_other_secrets_do() {
        let at_work = |check: &str, log: Option<&str>| {
            BTreeMap::from([("CHECK", Some(check.to_owned())), ("LOG", log.map(str::to_owned))])
        };
        let first = led_since(&LedSince::new(), &at_work("a", None), 10);
        assert_eq!(first, BTreeMap::from([("CHECK".into(), BTreeMap::from([("a".into(), 10)]))]));
        let other = led_since(&first, &at_work("a,b", Some("x")), 20);
        assert_eq!((other["CHECK"]["a"], other["LOG"]["x"]), (10, 20));
        let led = led_since(&other, &at_work("b,a", Some("x")), 30);
        assert_eq!((&led["CHECK"], led["LOG"]["x"]), (&BTreeMap::from([("b".to_owned(), 30)]), 20));
        assert_eq!(
            led_since(&led, &at_work("b", Some("x")), 40),
            led,
            "dropping the old key changes nothing"
        );
    }
}
