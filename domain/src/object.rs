//! Objects inside a request that are read from nothing else: serde takes an array for a struct's
//! fields in order.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use std::marker::PhantomData;

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(OfMap(PhantomData)).map(Self)
    }
}

struct OfMap<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfMap<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads an object and nothing else; for `deserialize_with`.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Object::deserialize(d).map(|object| object.0)
}

/// Reads an object or null.
pub fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    Option::<Object<T>>::deserialize(d).map(|object| object.map(|object| object.0))
}

/// Reads an object or null, telling `null` (`Some(None)`) from absent (`None`).
pub fn present_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    optional_object(d).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::upstream::settings::RouteSettings;

    #[test]
    fn an_array_is_not_read_as_an_object() {
        for text in [r#"{"ai":["openai",true]}"#, r#"{"maintenance":["x",1]}"#, r#"{"failover":["rte_1"]}"#] {
            assert!(serde_json::from_str::<RouteSettings>(text).is_err(), "{text}");
        }
    }
}
