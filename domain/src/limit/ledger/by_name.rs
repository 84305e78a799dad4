//! Values by name, in a sorted list. Trees of three kinds were 8 KiB of the gateway, gzipped, and a ledger looks at all its
//! values for each call anyway.

use crate::json;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ByName<T>(Vec<(String, T)>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByName<T> {
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.get(self.place(name).ok()?).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let place = self.place(name).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Sets the value of a name.
    pub fn insert(&mut self, name: &str, value: T) {
        if let Some(known) = self.get_mut(name) {
            *known = value;
        } else {
            let place = self.0.partition_point(|(known, _)| known.as_str() < name);
            self.0.insert(place, (name.to_owned(), value));
        }
    }

    /// Changes the value of a name, which begins as the default.
    pub fn change(&mut self, name: &str, act: impl FnOnce(&mut T))
    where
        T: Default,
    {
        if self.get(name).is_none() {
            self.insert(name, T::default());
        }
        self.get_mut(name).map(act);
    }

    pub fn remove(&mut self, name: &str) -> Option<T> {
        self.place(name).ok().map(|place| self.0.remove(place).1)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &T) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }
}

impl<T: Serialize> Serialize for ByName<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Self::default();
        for (name, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            read.0.push((name, json::read(value).map_err(|error| error.through())?));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_holds(changes in prop::collection::vec(("[a-d]{0,2}", prop::option::of(0_u8..9)), 0..60)) {
            let (mut list, mut tree) = (ByName::default(), BTreeMap::new());
            for (name, change) in changes {
                if let Some(value) = change {
                    list.insert(&name, value);
                    tree.insert(name.clone(), value);
                } else {
                    prop_assert_eq!(list.remove(&name), tree.remove(&name));
                }
                prop_assert_eq!(list.get(&name), tree.get(&name));
                prop_assert_eq!(list.get_mut(&name).copied(), tree.get(&name).copied());
            }
            let text = serde_json::to_string(&tree).unwrap();
            prop_assert_eq!(serde_json::to_string(&list).unwrap(), &*text);
            prop_assert_eq!(serde_json::from_str::<ByName<u8>>(&text).unwrap(), list.clone());
            list.retain(|name, value| name < "b" && *value > 4);
            tree.retain(|name, value| name.as_str() < "b" && *value > 4);
            prop_assert!(list.iter().eq(tree.iter().map(|(name, value)| (name.as_str(), value))));
        }
    }
}
