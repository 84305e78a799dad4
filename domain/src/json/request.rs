//! Reads the JSON of a request.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Reads the JSON of a request, in which each field is given once: of two, parsers along the way would choose differently.
/// An error of the category `Data` names the field that is given again ([`twice`]).
pub fn from_request(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Once>(bytes).map(|read| read.0)
}

/// Returns the field that [`from_request`] met twice.
pub fn twice(error: &serde_json::Error) -> Option<String> {
    let text = error.is_data().then(|| error.to_string())?;
    text.strip_prefix(TWICE)?.rsplit_once(" at line ").map(|(name, _)| name.to_owned())
}

const TWICE: &str = "given twice: ";

/// The methods of a visitor that make values of null, booleans, numbers and texts.
macro_rules! plain_values {
    () => {
        fn visit_unit<E>(self) -> Result<serde_json::Value, E> {
            Ok(serde_json::Value::Null)
        }

        fn visit_bool<E>(self, value: bool) -> Result<serde_json::Value, E> {
            Ok(value.into())
        }

        fn visit_u64<E>(self, number: u64) -> Result<serde_json::Value, E> {
            Ok(number.into())
        }

        fn visit_i64<E>(self, number: i64) -> Result<serde_json::Value, E> {
            Ok(number.into())
        }

        fn visit_f64<E>(self, number: f64) -> Result<serde_json::Value, E> {
            Ok(number.into())
        }

        fn visit_str<E>(self, text: &str) -> Result<serde_json::Value, E> {
            Ok(text.into())
        }
    };
}
pub(crate) use plain_values;

/// A value in which no object has a field twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    plain_values!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = vec![];
        while let Some(Once(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Once(value))) = object.next_entry::<String, Once>()? {
            if fields.contains_key(&name) {
                return Err(de::Error::custom(format_args!("{TWICE}{name}")));
            }
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}
