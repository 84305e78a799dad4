//! The key of a queue message, by which a message counts once however often it comes.

use crate::time::{DAY_MS, SECOND_MS, UnixMs, bucket_start};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

/// Characters of a key.
pub const KEY_LEN: usize = 22;
/// Random bytes of a key.
pub const KEY_RANDOM: usize = 10;
/// Bytes of the time before them.
const TIME_LEN: usize = 6;
/// The time whose keys are kept in one value. A queue accepts 5,000 messages a second: 1.1 MB of the 2 MB that a value of
/// D1 may have.
pub const SLOT_MS: i64 = 10 * SECOND_MS;
/// The time in which an id is known for certain.
const WINDOW_MS: i64 = 15 * DAY_MS;

/// 16 bytes in base64url: the time in ms, big endian, in six bytes, then ten that are random or a digest. So keys of
/// the same ten seconds are found in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MessageKey(String);

impl TryFrom<String> for MessageKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_key = URL_SAFE_NO_PAD.decode(&text).is_ok_and(|bytes| bytes.len() == TIME_LEN + KEY_RANDOM);
        if is_key { Ok(Self(text)) } else { Err("not the key of a message") }
    }
}

impl MessageKey {
    /// Makes the key of a new message from the current time and randomness.
    pub fn new(now: UnixMs, random: [u8; KEY_RANDOM]) -> Self {
        let time = u64::try_from(now).unwrap_or(0).to_be_bytes();
        let bytes: Vec<u8> = time.into_iter().skip(time.len() - TIME_LEN).chain(random).collect();
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Makes the key of a message that has none from its text, and the time `at` of its first call.
    pub fn of_text(at: UnixMs, text: &str) -> Self {
        let mut random = [0; KEY_RANDOM];
        for (byte, digest) in random.iter_mut().zip(Sha256::digest(text.as_bytes())) {
            *byte = digest;
        }
        Self::new(at, random)
    }

    /// Makes the keys of a message that is known by an id, whatever its time: the one of a new message, and the one that
    /// it has if it came before, up to 15 days ago. An id's time is a place within a window of 15 days.
    pub fn of_id(id: &str, now: UnixMs) -> [Self; 2] {
        let place =
            Sha256::digest(id.as_bytes()).iter().take(TIME_LEN).fold(0, |n, byte| n << 8 | i64::from(*byte));
        let start = bucket_start(now, WINDOW_MS);
        [start, start - WINDOW_MS].map(|start| Self::of_text(start + place % WINDOW_MS, id))
    }

    /// Returns the key's text, [`KEY_LEN`] characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its time, unix ms.
    pub fn at(&self) -> UnixMs {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).unwrap_or_default();
        bytes.iter().take(TIME_LEN).fold(0, |time, byte| time << 8 | i64::from(*byte))
    }

    /// Returns the slot that it is kept in: [`SLOT_MS`] each, counted from the epoch.
    pub fn slot(&self) -> i64 {
        self.at() / SLOT_MS
    }
}

/// Reads a key. One of a form that this version does not know counts as none.
pub(super) fn known<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MessageKey>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|text| MessageKey::try_from(text).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_its_slot() {
        let now = 1_763_870_461_000;
        let key = MessageKey::new(now, [255; KEY_RANDOM]);
        assert_eq!((key.at(), key.slot(), key.as_str().len()), (now, now / SLOT_MS, KEY_LEN));
        assert_eq!(MessageKey::try_from(key.as_str().to_owned()).as_ref(), Ok(&key));
        for text in ["", "short", "AAAAAAAAAAAAAAAAAAAAAA==", "ä"] {
            assert!(MessageKey::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_is_known_for_fifteen_days_at_least() {
        for id in ["a", "b", "log_1"] {
            for hours in 0..40 * 24 {
                let now = 20_000 * DAY_MS + hours * 60 * 60 * SECOND_MS;
                let [first, _] = MessageKey::of_id(id, now);
                assert!((now - first.at()).abs() <= WINDOW_MS);
                for later in [0, 1, 5, 14, 15] {
                    let again = MessageKey::of_id(id, now + later * DAY_MS);
                    assert!(again.contains(&first), "{id} {hours} {later}");
                    assert!(again.iter().all(|key| key.at() >= now + later * DAY_MS - 2 * WINDOW_MS));
                }
            }
        }
        assert_ne!(MessageKey::of_id("a", 0)[0], MessageKey::of_id("b", 0)[0]);
    }

    #[test]
    fn the_keys_of_a_slot_fit_a_value_at_the_most_that_a_queue_accepts() {
        let messages = 5_000 * usize::try_from(SLOT_MS / SECOND_MS).unwrap();
        assert!(messages * KEY_LEN < 2_000_000);
    }

    #[test]
    fn the_same_text_has_the_same_key() {
        assert_eq!(MessageKey::of_text(5, "a"), MessageKey::of_text(5, "a"));
        assert_ne!(MessageKey::of_text(5, "a"), MessageKey::of_text(5, "b"));
    }
}
