//! JSON objects that one version stores and another reads.
//!
//! Gateway and admin API are deployed one after the other, and either can be rolled back, so both meet
//! values of a version that is newer than they are. The rule, in one place:
//!
//! - A field that this version does not know is **ignored and kept**: [`Unread`] holds it as it was
//!   stored and writes it back, so an older version that edits or publishes an object loses nothing.
//! - A field whose loss would allow more than was meant is **critical**. The version that knows it lists
//!   it in its `critical: []` (see [`stored!`]); the object then carries `"critical": ["its_name"]`, and a
//!   gateway that does not know that name refuses the token or the route ([`Unread::forbids_use`]).
//! - A value of an open set (a provider, say) that this version does not know is kept the same way, and
//!   the strictest known value acts for it.
//! - A request is not a stored value: an unknown field in it is an error that names the field ([`Unread::refuse`]).

use crate::collect;
use crate::error::FieldError;
use crate::json;
use crate::problem::Invalid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The field that lists critical fields.
pub(crate) const CRITICAL: &str = "critical";

/// Why a value in KV cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KvError {
    #[error("is not the JSON of this entry")]
    Syntax,
    #[error("has a version that this build does not know")]
    Version,
    #[error("holds a time that cannot be read")]
    Time,
    #[error("says something that this build does not know and must not ignore")]
    NotUnderstood,
}

/// Fields of a stored object that this version does not know, as they were stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unread(BTreeMap<String, Value>);

impl Unread {
    /// Whether every field is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One field that no version knows or may ignore.
    pub(crate) fn critical(name: &str) -> Self {
        Self([(name.to_owned(), Value::Bool(true)), (CRITICAL.to_owned(), vec![name].into())].into())
    }

    /// Whether a newer version has marked one of these fields as critical. A list that cannot be read
    /// may name any of them.
    pub fn forbids_use(&self) -> bool {
        self.0.get(CRITICAL).is_some_and(|list| match list.as_array() {
            Some(names) => {
                names.iter().any(|name| name.as_str().is_none_or(|name| self.0.contains_key(name)))
            }
            None => true,
        })
    }

    /// Reports each of these fields as unknown: for an object that came in a request.
    pub fn refuse(&self, prefix: &str, errors: &mut Vec<FieldError>) {
        errors.extend(self.0.keys().map(|name| FieldError::new(format!("{prefix}{name}"), Invalid::Unknown)));
    }

    /// Returns these fields, and those of `other` that are not among them.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = other.0.clone();
        all.extend(self.0.clone());
        let names = |unread: &Self| unread.0.get(CRITICAL).and_then(Value::as_array).cloned();
        if let (Some(own), Some(others)) = (names(self), names(other)) {
            all.insert(CRITICAL.to_owned(), own.into_iter().chain(others).collect());
        }
        Self(all)
    }

    /// Forgets the names of critical fields that this version knows.
    pub(crate) fn forget_critical(&mut self, known: &[&str]) {
        let Some(Value::Array(names)) = self.0.get_mut(CRITICAL) else { return };
        let before = names.len();
        names.retain(|name| name.as_str().is_none_or(|name| !known.contains(&name)));
        if names.is_empty() && before > 0 {
            self.0.remove(CRITICAL);
        }
    }

    /// Returns these fields without one that a request has set again.
    #[must_use]
    pub(crate) fn without(&self, field: &str) -> Self {
        let mut rest = self.clone();
        rest.0.remove(field);
        rest
    }

    /// Takes a value of an open set out. `Ok(None)` if it is absent; `Err` if it is not known, and it
    /// then stays here.
    pub(crate) fn take_known<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, ()> {
        let Some(value) = self.0.get(field) else { return Ok(None) };
        let known = json::read(value.clone()).map_err(|_| ())?;
        self.0.remove(field);
        Ok(Some(known))
    }
}

/// The unreadable fields of a stored object that remain after a change; `given` says for each field whether
/// the change replaces it, which repairs it. The others must not be written back as the empty values that are
/// shown for them.
#[must_use]
pub fn still_unreadable(mut unreadable: Vec<String>, given: &[(&str, bool)]) -> Vec<String> {
    unreadable.retain(|field| !given.contains(&(field.as_str(), true)));
    unreadable
}

/// The object as it is stored: its known fields, the unread ones, and which of this version's are
/// critical.
pub(crate) fn whole(known: Value, unread: &Unread, critical: &[&str]) -> Value {
    let Value::Object(mut fields) = known else { return known };
    let marked: Vec<Value> =
        critical.iter().filter(|name| fields.contains_key(**name)).map(|n| (*n).into()).collect();
    fields.extend(unread.0.clone());
    if !marked.is_empty() {
        let list = fields.entry(CRITICAL).or_insert_with(|| Value::Array(vec![]));
        if let Value::Array(names) = list {
            names.extend(marked);
        }
    }
    Value::Object(fields)
}

/// Whether a field of a stored object has another value than by default.
pub(crate) fn is_set<T: Default + PartialEq>(field: &T) -> bool {
    *field != T::default()
}

/// Whether an object that keeps no unread fields lists a critical one beyond `known`.
pub(crate) fn forbids_use(object: &Value, known: &[&str]) -> bool {
    let Some(fields) = object.as_object() else { return false };
    let unread = fields.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    Unread(collect::map(unread.map(|(name, value)| (name.clone(), value.clone())))).forbids_use()
}

/// For `deserialize_with`: a list without the entries that this version cannot read.
pub(crate) fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(d: D) -> Result<Vec<T>, D::Error> {
    let entries = Vec::<Value>::deserialize(d)?;
    Ok(entries.into_iter().filter_map(|entry| json::read(entry).ok()).collect())
}

/// Reads the entries of an allow-list that this version knows. An empty list allows everything, so a list of
/// which nothing can be read is an error.
pub(crate) fn readable_allow_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    d: D,
) -> Result<Vec<T>, D::Error> {
    let entries = Vec::<Value>::deserialize(d)?;
    let was_empty = entries.is_empty();
    let read: Vec<T> = entries.into_iter().filter_map(|entry| json::read(entry).ok()).collect();
    if read.is_empty() && !was_empty {
        Err(serde::de::Error::custom("no entry can be read"))
    } else {
        Ok(read)
    }
}

/// Reads the values of a map that this version knows.
pub(crate) fn readable_values<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    d: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let entries = BTreeMap::<String, Value>::deserialize(d)?;
    let readable = |(key, value)| Some((key, json::read(value).ok()?));
    Ok(collect::map(entries.into_iter().filter_map(readable)))
}

/// Implements serde for a stored object that has a field `unread: Unread` and derives both traits with
/// `#[serde(remote = "Self")]`.
///
/// `critical` lists the fields that an older version must not ignore: those without which more would be
/// allowed than was meant. The function after it moves values of open sets out of `unread`.
macro_rules! stored {
    ($type:ident, critical: [$($critical:ident),*], $open:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                const CRITICAL: &[&str] = &[$(stringify!($critical)),*];
                let has_critical = false $(|| $crate::stored::is_set(&self.$critical))*;
                if !has_critical && self.unread.is_empty() {
                    return $type::serialize(self, serializer);
                }
                let known = $type::serialize(self, serde_json::value::Serializer);
                let known = known.map_err(serde::ser::Error::custom)?;
                serde::Serialize::serialize(&$crate::stored::whole(known, &self.unread, CRITICAL), serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut value = $type::deserialize(deserializer)?;
                value.unread.forget_critical(&[$(stringify!($critical)),*]);
                let open: fn(&mut $type) -> Result<(), &'static str> = $open;
                open(&mut value).map_err(<D::Error as serde::de::Error>::missing_field)?;
                Ok(value)
            }
        }
    };
}
pub(crate) use stored;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_repairs_the_unreadable_fields_that_it_gives_and_no_other() {
        let unreadable = || vec!["limits".to_owned(), "scopes".to_owned()];
        let given = |limits, scopes| [("limits", limits), ("scopes", scopes), ("ip_allow", true)];
        assert_eq!(still_unreadable(unreadable(), &given(false, false)), unreadable());
        assert_eq!(still_unreadable(unreadable(), &given(true, false)), ["scopes"]);
        assert_eq!(still_unreadable(unreadable(), &given(false, true)), ["limits"]);
        assert!(still_unreadable(unreadable(), &given(true, true)).is_empty());
        assert_eq!(still_unreadable(vec!["credential".to_owned()], &given(true, true)), ["credential"]);
    }
}
