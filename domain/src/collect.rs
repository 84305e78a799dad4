//! Maps and sets of what an iterator gives.
//!
//! `collect` sorts all entries before it builds the tree, with code that is compiled again for each type: together it
//! would be 40 KB of a Worker, gzipped.

use std::collections::{BTreeMap, BTreeSet};

/// Makes a map, entry by entry. Of several with one key, the last counts.
pub fn map<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}

/// Makes a set, item by item.
pub fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}
