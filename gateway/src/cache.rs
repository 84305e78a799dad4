//! A cache bounded in entries and in age. Plain data only, so that it may outlive requests.

use domain::time::UnixMs;
use std::collections::HashMap;
use std::hash::Hash;

/// Time for which a started refresh is assumed to be running. Its request may have been cancelled.
const REFRESH_PATIENCE_MS: i64 = 3_000;
/// Time for which a store that failed is left alone.
const RETRY_PAUSE_MS: i64 = 1_000;

/// Greatest age at which a value may be the reason to refuse a call. It is therefore also the shortest time
/// between two reads made before a refusal.
const REFUSAL_AGE_MS: i64 = 1_000;

/// Time after a read, in ms, within which the change feed's word that nothing has changed counts as another read. A
/// change that the feed was never told is in force at most this long, and an entry's age, after KV shows it.
const CONFIRMABLE_MS: i64 = 30_000;

/// A value with the time at which its read started.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    value: T,
    read_at: UnixMs,
    /// The last time at which it was known to be the newest value: its read, or a poll that brought no other.
    current_at: UnixMs,
    confirmable_until: UnixMs,
    refreshing_since: Option<UnixMs>,
    failed_at: Option<UnixMs>,
    has_refused: bool,
}

/// The use that may be made of an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it and read it again in the background.
    Refresh,
    /// Read it again before it serves.
    Expired,
    /// Expired, but the store failed a moment ago: do not ask it now.
    ExpiredUnreachable,
}

/// The step that must come before a call is refused because of an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing. The entry is young and was already the reason for a refusal, or it was read for this call, or
    /// its store failed a moment ago.
    Settled,
    /// Read it again.
    Read,
    /// Wait a little and ask again: it is too early for another read, or another call is reading the entry.
    Wait,
}

impl<T> Entry<T> {
    /// Makes an entry from a read that started at `read_at`.
    pub fn new(value: T, read_at: UnixMs) -> Self {
        Self {
            value,
            read_at,
            current_at: read_at,
            confirmable_until: read_at.saturating_add(CONFIRMABLE_MS),
            refreshing_since: None,
            failed_at: None,
            has_refused: false,
        }
    }

    pub fn value(&self) -> &T {
        &self.value
    }

    pub fn age(&self, now: UnixMs) -> i64 {
        now - self.current_at
    }

    /// Whether its read started at `at` or before.
    pub fn was_read_by(&self, at: UnixMs) -> bool {
        self.read_at <= at
    }

    /// Notes that a poll of the change feed, begun at `at`, brought no other value.
    pub fn confirm(&mut self, at: UnixMs) {
        self.current_at = self.current_at.max(at.min(self.confirmable_until));
    }

    /// Replaces the value by a newer one, known at `known_at`. The entry gets no older by that.
    pub fn replace(&mut self, value: T, known_at: UnixMs) {
        *self = Self::new(value, known_at.max(self.read_at));
    }

    /// Lets its own read alone count.
    pub fn doubt(&mut self) {
        self.current_at = self.read_at;
        self.confirmable_until = self.read_at;
    }

    /// Lets the entry be read again before it serves.
    pub fn expire(&mut self, now: UnixMs, max_age_ms: i64) {
        self.read_at = self.read_at.min(now - max_age_ms);
        self.doubt();
    }

    /// Decides how the entry may be used. From half of `max_age_ms` on, one request reads it again in the
    /// background while it still serves, so that calls with a busy token never wait for KV. Notes the start
    /// of that read when it returns [`Freshness::Refresh`].
    pub fn freshness(&mut self, now: UnixMs, max_age_ms: i64) -> Freshness {
        let age = self.age(now);
        let recently = |at: Option<UnixMs>, within: i64| at.is_some_and(|at| now - at < within);
        if age >= max_age_ms {
            if recently(self.failed_at, RETRY_PAUSE_MS) {
                Freshness::ExpiredUnreachable
            } else {
                Freshness::Expired
            }
        } else if age >= max_age_ms / 2
            && !recently(self.refreshing_since, REFRESH_PATIENCE_MS)
            && !recently(self.failed_at, RETRY_PAUSE_MS)
        {
            self.refreshing_since = Some(now);
            Freshness::Refresh
        } else {
            Freshness::Fresh
        }
    }

    /// Decides what must come before a call that arrived at `since` is refused because of this entry. Notes
    /// the start of a read when it returns [`Claim::Read`].
    pub fn claim(&mut self, since: UnixMs, now: UnixMs) -> Claim {
        let recently = |at: Option<UnixMs>, within: i64| at.is_some_and(|at| now - at < within);
        let is_young = now - self.read_at < REFUSAL_AGE_MS;
        if recently(self.failed_at, RETRY_PAUSE_MS)
            || (is_young && (self.has_refused || self.read_at >= since))
        {
            Claim::Settled
        } else if is_young || recently(self.refreshing_since, REFRESH_PATIENCE_MS) {
            Claim::Wait
        } else {
            self.refreshing_since = Some(now);
            Claim::Read
        }
    }

    /// Notes that a call was refused because of this entry. While the entry is young, later calls are refused
    /// without waiting.
    pub fn note_refusal(&mut self) {
        self.has_refused = true;
    }

    /// Notes that the store failed, so that it is left alone for a moment.
    pub fn note_failure(&mut self, now: UnixMs) {
        self.failed_at = Some(now);
    }
}

/// Two generations of at most `capacity` entries each. When the young one is full it becomes the old one,
/// and the old one is dropped. A lookup makes an entry young again. Both steps cost O(1), and a flood of
/// strange keys cannot push out entries that are in use.
#[derive(Debug)]
pub struct Cache<K, T> {
    young: HashMap<K, Entry<T>>,
    old: HashMap<K, Entry<T>>,
    capacity: usize,
}

impl<K: Eq + Hash + Clone, T> Cache<K, T> {
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    /// Looks an entry up, which keeps it young.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut Entry<T>> {
        if let Some((key, entry)) = self.old.remove_entry(key) {
            self.insert(key, entry);
        }
        self.young.get_mut(key)
    }

    /// Keeps whichever read started later: a slow one must not bring back a token that a later one saw
    /// revoked.
    pub fn learn(&mut self, key: K, entry: Entry<T>) {
        if self.get_mut(&key).is_none_or(|known| known.was_read_by(entry.read_at)) {
            self.insert(key, entry);
        }
    }

    /// Removes an entry.
    pub fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Lets every entry be read again before it serves.
    pub fn expire(&mut self, now: UnixMs, max_age_ms: i64) {
        for entry in self.young.values_mut().chain(self.old.values_mut()) {
            entry.expire(now, max_age_ms);
        }
    }

    fn insert(&mut self, key: K, entry: Entry<T>) {
        if self.young.len() >= self.capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_fresh_then_refreshed_then_expired() {
        let mut entry = Entry::new((), 0);
        assert_eq!(entry.freshness(4_999, 10_000), Freshness::Fresh);
        assert_eq!(entry.freshness(5_000, 10_000), Freshness::Refresh);
        assert_eq!(entry.freshness(5_001, 10_000), Freshness::Fresh, "one refresh at a time");
        assert_eq!(entry.freshness(8_000, 10_000), Freshness::Refresh, "a lost refresh is taken over");
        assert_eq!(entry.freshness(10_000, 10_000), Freshness::Expired);
        entry.note_failure(10_000);
        assert_eq!(entry.freshness(10_999, 10_000), Freshness::ExpiredUnreachable);
        assert_eq!(entry.freshness(11_000, 10_000), Freshness::Expired);
    }

    #[test]
    fn a_confirmed_entry_needs_no_read_for_half_a_minute() {
        let mut entry = Entry::new((), 0);
        for at in (2_000..=30_000).step_by(2_000) {
            entry.confirm(at);
            assert_eq!(entry.freshness(at + 4_000, 10_000), Freshness::Fresh);
        }
        entry.confirm(36_000);
        assert_eq!(entry.freshness(36_000, 10_000), Freshness::Refresh, "the feed may not have been told");
        assert_eq!(entry.freshness(40_000, 10_000), Freshness::Expired);
        let mut entry = Entry::new((), 0);
        entry.confirm(2_000);
        assert_eq!(entry.claim(2_000, 2_000), Claim::Read, "a refusal is for KV to confirm");
        entry.doubt();
        entry.confirm(6_000);
        assert_eq!(entry.age(6_000), 6_000, "the feed has told of another value of the same version");
        entry.expire(5_000, 10_000);
        entry.confirm(6_000);
        assert_eq!(entry.freshness(6_000, 10_000), Freshness::Expired, "the feed has lost its place");
        let mut entry = Entry::new((), 8_000);
        entry.confirm(7_000);
        assert_eq!(entry.age(8_000), 0, "a poll from before the read says nothing new");
    }

    #[test]
    fn a_refusal_costs_at_most_one_read_a_second() {
        let mut entry = Entry::new((), 0);
        assert_eq!(entry.claim(0, 500), Claim::Settled, "read for this very call");
        assert_eq!(
            entry.claim(400, 500),
            Claim::Wait,
            "read before the call, and no call was refused for it yet"
        );
        entry.note_refusal();
        assert_eq!(entry.claim(400, 999), Claim::Settled);
        assert_eq!(entry.claim(400, 1_000), Claim::Read);
        assert_eq!(entry.claim(400, 1_001), Claim::Wait, "one at a time");
        assert_eq!(entry.claim(400, 4_000), Claim::Read, "a lost read is taken over");
        entry.note_failure(4_000);
        assert_eq!(entry.claim(400, 4_999), Claim::Settled, "a store that failed is left alone");
    }

    #[test]
    fn a_slow_older_read_does_not_replace_a_newer_one() {
        let mut cache = Cache::new(10);
        cache.learn(0, Entry::new("revoked", 8_000));
        cache.learn(0, Entry::new("active", 5_000));
        assert_eq!(cache.get_mut(&0).unwrap().value(), &"revoked");
        cache.learn(0, Entry::new("active", 9_000));
        assert_eq!(cache.get_mut(&0).unwrap().value(), &"active");
    }

    #[test]
    fn a_told_value_replaces_one_that_was_read_later() {
        let mut entry = Entry::new("active", 8_000);
        entry.replace("revoked", 7_000);
        assert_eq!((*entry.value(), entry.age(9_000)), ("revoked", 1_000));
        entry.replace("active", 9_000);
        assert_eq!(entry.age(9_000), 0);
        entry.expire(9_500, 10_000);
        assert_eq!(entry.freshness(9_500, 10_000), Freshness::Expired);
        assert_eq!(entry.age(9_500), 10_000, "it may still serve while KV is away");
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_entries_in_use() {
        let mut cache = Cache::new(10);
        cache.insert(0, Entry::new((), 0));
        for key in 1..1_000 {
            cache.insert(key, Entry::new((), 0));
            assert!(cache.get_mut(&0).is_some());
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert!(cache.get_mut(&1).is_none());
        cache.forget(&0);
        assert!(cache.get_mut(&0).is_none() && cache.get_mut(&999).is_some());
        cache.expire(5, 10);
        assert_eq!(
            cache.get_mut(&998).unwrap().freshness(5, 10),
            Freshness::Expired,
            "but may serve if KV is away"
        );
    }
}
