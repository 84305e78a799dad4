//! Reads JSON as types, and says which field could not be read.
//!
//! Rows, stored values and requests are all read by [`Node`]: serde makes a copy of each type's reader for every
//! deserializer that the type meets, and with three of them the admin API was a tenth larger.

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value, map};
use std::{fmt, vec};

/// Reads a value.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, ReadError> {
    T::deserialize(Node(value))
}

/// The fields of an object that is read one by one.
#[derive(Debug)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Makes the object that these fields are.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Reads a field.
    pub fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, ReadError> {
        self.take_if_there(name)?.ok_or_else(|| de::Error::missing_field(name))
    }

    /// Reads a field that may be absent or null.
    pub fn take_if_there<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<Option<T>, ReadError> {
        let value = self.0.remove(name).unwrap_or_default();
        read(value).map_err(|error| error.below(name.to_owned()))
    }

    /// Reads the fields that are left.
    pub fn rest<T: DeserializeOwned>(self) -> Result<T, ReadError> {
        read(self.0.into())
    }

    /// Refuses fields that are left. `known` are those of the whole.
    pub fn end(self, known: &'static [&'static str]) -> Result<(), ReadError> {
        self.0.keys().next().map_or(Ok(()), |name| Err(de::Error::unknown_field(name, known)))
    }
}

/// Reads the value that a text holds.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    read(parsed(text)?)
}

/// Reads the value that bytes hold.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    read(serde_json::from_slice(bytes).map_err(de::Error::custom)?)
}

fn parsed(text: &str) -> Result<Value, ReadError> {
    serde_json::from_str(text).map_err(de::Error::custom)
}

/// Why a value could not be read, and at which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError(Box<Place>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Names of fields and numbers of items, the innermost first.
    path: Vec<String>,
    message: String,
}

impl ReadError {
    fn new(message: String) -> Self {
        let (path, message) = match message.strip_prefix(MARK).and_then(|rest| rest.split_once(MARK)) {
            Some((path, message)) if !path.is_empty() => {
                (path.rsplit('.').map(str::to_owned).collect(), message.to_owned())
            }
            Some((_, message)) => (vec![], message.to_owned()),
            None => (vec![], message),
        };
        Self(Box::new(Place { path, message }))
    }

    /// Returns the field, as `settings.scopes.1`; empty if it is the value itself.
    pub fn path(&self) -> String {
        self.0.path.iter().rev().map(String::as_str).collect::<Vec<_>>().join(".")
    }

    /// Returns the error for a type that is read by way of another. [`ReadError`] keeps the path.
    pub fn through<E: de::Error>(&self) -> E {
        E::custom(format_args!("{MARK}{}{MARK}{}", self.path(), self.message()))
    }

    /// Returns the problem in serde's words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Says what was found as serde does, but for floats: std's tables to write one are a fiftieth of the gateway.
    fn unlike(aspect: &str, found: Unexpected, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(it) => format!("boolean `{it}`"),
            Unexpected::Unsigned(it) => format!("integer `{it}`"),
            Unexpected::Signed(it) => format!("integer `{it}`"),
            Unexpected::Float(it) => format!("floating point `{}`", Value::from(it)),
            Unexpected::Str(it) => format!("string {it:?}"),
            Unexpected::Other(it) => it.to_owned(),
            Unexpected::Unit => "unit value".to_owned(),
            Unexpected::Seq => "sequence".to_owned(),
            Unexpected::Map => "map".to_owned(),
            _ => "another kind".to_owned(),
        };
        de::Error::custom(format_args!("invalid {aspect}: {found}, expected {expected}"))
    }

    fn below(mut self, step: String) -> Self {
        self.0.path.push(step);
        self
    }
}

/// Stands around the path in the text of an error that has passed through another type's.
const MARK: char = '\u{1f}';

impl de::Error for ReadError {
    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::unlike("type", found, expected)
    }

    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::unlike("value", found, expected)
    }

    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl std::error::Error for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.0.path.is_empty() {
            f.write_str(self.message())
        } else {
            write!(f, "{}: {}", self.path(), self.message())
        }
    }
}

/// A value that is being read. Each kind is read by a function of its own, so that the reader of a type holds no code
/// for kinds that the type never is; an object, for one, is never read from a list of its fields.
struct Node(Value);

impl Node {
    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::Number(number) = &self.0 else { return Err(self.is_no(&visitor)) };
        match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => visitor.visit_u64(number),
            (_, Some(number), _) => visitor.visit_i64(number),
            (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
        }
    }

    fn is_no(&self, expected: &dyn Expected) -> ReadError {
        let found = match &self.0 {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(_) => Unexpected::Other("a number"),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        de::Error::invalid_type(found, expected)
    }
}

/// Methods of [`Node`] that read one kind of value.
macro_rules! kinds {
    ($($method:ident $(($($unused:ty),*))? => $kind:path as $read:expr),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($(_: $unused,)*)? visitor: V) -> Result<V::Value, ReadError> {
            let read: fn(V, _) -> Result<V::Value, ReadError> = $read;
            if let $kind(value) = self.0 { read(visitor, value) } else { Err(self.is_no(&visitor)) }
        })*
    };
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.number(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Node {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(_) => self.number(visitor),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items::of(items)),
            Value::Object(fields) => visitor.visit_map(Fields::of(fields)),
        }
    }

    kinds! {
        deserialize_bool => Value::Bool as V::visit_bool,
        deserialize_str => Value::String as V::visit_string,
        deserialize_string => Value::String as V::visit_string,
        deserialize_char => Value::String as V::visit_string,
        deserialize_identifier => Value::String as V::visit_string,
        deserialize_seq => Value::Array as |visitor, items| visitor.visit_seq(Items::of(items)),
        deserialize_tuple(usize) => Value::Array as tuple,
        deserialize_tuple_struct(&'static str, usize) => Value::Array as tuple,
        deserialize_map => Value::Object as |visitor, fields| visitor.visit_map(Fields::of(fields)),
        deserialize_struct(&'static str, &'static [&'static str]) => Value::Object as |visitor, fields| visitor.visit_map(Fields::of(fields)),
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Value::Object(fields) if fields.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(Fields::of(fields)))
            }
            _ => Err(self.is_no(&"a string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct }
}

/// Reads a list of a fixed length.
fn tuple<'de, V: Visitor<'de>>(visitor: V, items: Vec<Value>) -> Result<V::Value, ReadError> {
    let (length, mut items) = (items.len(), Items::of(items));
    let read = visitor.visit_seq(&mut items)?;
    match items.items.len() {
        0 => Ok(read),
        _ => Err(de::Error::invalid_length(length, &"fewer items")),
    }
}

/// The name of a field, or a key.
struct Name<'a>(&'a str);

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items {
    read: usize,
    items: vec::IntoIter<Value>,
}

impl Items {
    fn of(items: Vec<Value>) -> Self {
        Self { read: 0, items: items.into_iter() }
    }

    fn at(&self, error: ReadError) -> ReadError {
        error.below((self.read - 1).to_string())
    }
}

impl<'de> SeqAccess<'de> for Items {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        self.read += 1;
        seed.deserialize(Node(item)).map(Some).map_err(|error| self.at(error))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Fields {
    rest: map::IntoIter,
    /// The field that is being read.
    name: String,
    value: Value,
}

impl Fields {
    fn of(fields: Map<String, Value>) -> Self {
        Self { rest: fields.into_iter(), name: String::new(), value: Value::Null }
    }

    // What does not depend on the type is apart: the rest of `MapAccess` is compiled again for each.
    fn advance(&mut self) -> bool {
        let Some(next) = self.rest.next() else { return false };
        (self.name, self.value) = next;
        true
    }

    fn at(&self, error: ReadError) -> ReadError {
        error.below(self.name.clone())
    }
}

impl<'de> MapAccess<'de> for Fields {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        if !self.advance() {
            return Ok(None);
        }
        seed.deserialize(Name(&self.name)).map(Some).map_err(|error| self.at(error))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(Node(self.value.take())).map_err(|error| self.at(error))
    }
}

mod request;
pub(crate) use request::plain_values;
pub use request::{from_request, twice};

#[cfg(test)]
mod tests;
