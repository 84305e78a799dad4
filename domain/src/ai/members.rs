//! Members of an AI request's JSON, read without holding the rest of it.

use super::named::Key;
use crate::json::plain_values;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt::{self, Formatter};

/// The member whose items are counted instead.
pub const PROMPT: &str = "prompt";
/// The most items that are read of a list or an object: as values they take a dozen times as much as in the request.
pub const MAX_ITEMS: usize = 1_000;

/// The number of prompts of a completions request, each of which gets a completion of its own. A list of numbers is
/// the tokens of one prompt. Nothing of them is held: there may be millions.
struct Prompts(u64);

/// One of several prompts, skipped.
struct Prompt {
    is_token: bool,
}

macro_rules! visits {
    ($($visit:ident: $kind:ty => $value:expr),*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> { Ok($value) })*
    };
}

impl<'de> Deserialize<'de> for Prompts {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Count;
        impl<'de> Visitor<'de> for Count {
            type Value = Prompts;
            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("prompts")
            }
            visits!(visit_str: &str => Prompts(1), visit_bool: bool => Prompts(1), visit_i64: i64 => Prompts(1), visit_u64: u64 => Prompts(1), visit_f64: f64 => Prompts(1));
            fn visit_unit<E>(self) -> Result<Prompts, E> {
                Ok(Prompts(1))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Prompts, A::Error> {
                let mut count = 0_u64;
                while let Some(item) = items.next_element::<Prompt>()? {
                    count = count.saturating_add(u64::from(!item.is_token));
                }
                Ok(Prompts(count))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Prompts, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Prompts(1))
            }
        }
        value.deserialize_any(Count)
    }
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Look;
        const TEXT: Prompt = Prompt { is_token: false };
        const TOKEN: Prompt = Prompt { is_token: true };
        impl<'de> Visitor<'de> for Look {
            type Value = Prompt;
            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a prompt")
            }
            visits!(visit_str: &str => TEXT, visit_bool: bool => TEXT, visit_i64: i64 => TOKEN, visit_u64: u64 => TOKEN, visit_f64: f64 => TOKEN);
            fn visit_unit<E>(self) -> Result<Prompt, E> {
                Ok(TEXT)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Prompt, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(TEXT)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Prompt, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(TEXT)
            }
        }
        value.deserialize_any(Look)
    }
}

/// Reads members of a JSON object by their names, and skips the others, however large they are; anything else has none.
/// `None` if it is no JSON, or has one of them twice or one that is not read ([`Member`]).
pub fn members(object: &[u8], names: &[&str]) -> Option<Map<String, Value>> {
    let mut object = serde_json::Deserializer::from_str(str::from_utf8(object).ok()?);
    let read = object.deserialize_any(Members(names)).ok()?;
    object.end().ok().map(|()| read)
}

struct Members<'a>(&'a [&'a str]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    // Not the defaults: their errors write out the number that is found.
    visits!(visit_str: &str => Map::new(), visit_bool: bool => Map::new(), visit_i64: i64 => Map::new(), visit_u64: u64 => Map::new(), visit_f64: f64 => Map::new());

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Map::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Map::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut read = Map::new();
        while let Some(Key(name)) = members.next_key()? {
            let value = match &*name {
                name if !self.0.contains(&name) => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
                PROMPT => members.next_value::<Prompts>()?.0.into(),
                _ => members.next_value_seed(Member { is_item: false })?,
            };
            if read.insert(name.into_owned(), value).is_some() {
                return Err(Error::custom("twice"));
            }
        }
        Ok(read)
    }
}

/// Reads a member, or an item of one: a text, a number, or a list or an object of these. What lies deeper is skipped. Fails if
/// there are more than [`MAX_ITEMS`], or one of them twice.
struct Member {
    is_item: bool,
}

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a member")
    }

    plain_values!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        if self.is_item {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        } else {
            while let Some(item) = items.next_element_seed(Member { is_item: true })? {
                read.push(item);
                if read.len() > MAX_ITEMS {
                    return Err(Error::custom("many"));
                }
            }
        }
        Ok(read.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        if self.is_item {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        } else {
            while let Some(Key(name)) = members.next_key()? {
                let item = members.next_value_seed(Member { is_item: true })?;
                if read.insert(name.into_owned(), item).is_some() || read.len() > MAX_ITEMS {
                    return Err(Error::custom("twice, or many"));
                }
            }
        }
        Ok(read.into())
    }
}
