//! Finds requests whose prompt may be longer than their body: the vendor fetches what they refer to, tools that run at
//! the vendor read more, and a picture or a file may hold more tokens than it has bytes.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Members that name something the vendor reads, or runs, if they are not null.
const NAMES: &[&str] = &[
    // Earlier turns and stored prompts
    "previous_response_id",
    "conversation",
    "conversation_id",
    "thread_id",
    "assistant_id",
    "container",
    "cachedContent",
    "cached_content",
    // Files, pictures, sound
    "file_id",
    "file_ids",
    "file_url",
    "file_uri",
    "fileUri",
    "file_data",
    "fileData",
    "image_url",
    "imageUrl",
    "image",
    "images",
    "input_audio",
    "audio_url",
    "video_url",
    "inlineData",
    "inline_data",
    "s3Location",
    "input_file_id",
    "vector_store_ids",
    // Tools at the vendor
    "mcp_servers",
    "web_search_options",
    "search_parameters",
    "data_sources",
    "plugins",
    "connectors",
    "googleSearch",
    "google_search",
    "googleSearchRetrieval",
    "google_search_retrieval",
    "googleMaps",
    "google_maps",
    "enterpriseWebSearch",
    "enterprise_web_search",
    "codeExecution",
    "code_execution",
    "urlContext",
    "url_context",
    "fileSearch",
    "file_search",
    "computerUse",
    "computer_use",
    "retrieval",
    "systemTool",
];

/// Values of `type` that mark such a part of a prompt.
const TYPES: &[&str] = &[
    "url",
    "file",
    "base64",
    "image",
    "image_url",
    "input_image",
    "input_file",
    "input_audio",
    "video_url",
    "audio_url",
    "item_reference",
    "container_upload",
];

/// Members that hold JSON of the client's own choosing: schemas, and arguments of its functions.
const OPAQUE: &[&str] = &[
    "parameters",
    "parametersJsonSchema",
    "input_schema",
    "inputSchema",
    "schema",
    "responseSchema",
    "response_format",
    "metadata",
    "args",
];

/// Types of tools that run at the client.
const OWN_TOOLS: [&str; 2] = ["function", "custom"];

/// Whether the request refers to more than it holds. A body that cannot be read as a whole may refer to anything.
pub fn names_more(body: &[u8]) -> bool {
    let Ok(body) = str::from_utf8(body) else { return true };
    let mut body = serde_json::Deserializer::from_str(body);
    !Look { place: Place::Any }.deserialize(&mut body).is_ok_and(|seen| seen != Seen::Named)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Any,
    /// Within `tools`.
    Tool,
    /// The value of `type`; of a tool if so marked.
    Type {
        of_tool: bool,
    },
    /// The value of a member that may be a reference: an object is one, text is not.
    Prompt,
}

/// One value, looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Null,
    Plain,
    Named,
}

#[derive(Clone, Copy)]
struct Look {
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Seen, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Seen, E> {
        Ok(Seen::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Seen, E> {
        Ok(Seen::Plain)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Seen, E> {
        Ok(Seen::Plain)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Seen, E> {
        Ok(Seen::Plain)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Seen, E> {
        Ok(Seen::Plain)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Seen, E> {
        let is_named = match self.place {
            Place::Type { of_tool: true } => !OWN_TOOLS.contains(&text),
            Place::Type { of_tool: false } => TYPES.contains(&text),
            Place::Any | Place::Tool | Place::Prompt => false,
        };
        Ok(if is_named { Seen::Named } else { Seen::Plain })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seen, A::Error> {
        let mut seen = Seen::Plain;
        let place = if self.place == Place::Tool { Place::Tool } else { Place::Any };
        while let Some(item) = items.next_element_seed(Look { place })? {
            if item == Seen::Named {
                seen = Seen::Named;
            }
        }
        Ok(seen)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Seen, A::Error> {
        let mut is_named = false;
        while let Some(Key(name)) = members.next_key()? {
            let place = match &*name {
                name if OPAQUE.contains(&name) => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
                "tools" => Place::Tool,
                "type" => Place::Type { of_tool: self.place == Place::Tool },
                "prompt" => Place::Prompt,
                _ => Place::Any,
            };
            let seen = members.next_value_seed(Look { place })?;
            is_named |= seen == Seen::Named || (seen != Seen::Null && NAMES.contains(&&*name));
            is_named |= self.place == Place::Prompt && &*name == "id";
        }
        Ok(if is_named { Seen::Named } else { Seen::Plain })
    }
}

/// A member's name, borrowed if it has no escapes.
pub(super) struct Key<'de>(pub Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(name: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        name.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn named(body: &Value) -> bool {
        names_more(body.to_string().as_bytes())
    }

    #[test]
    fn prompts_that_are_only_named_are_seen_in_every_vendors_form() {
        for body in [
            json!({"previous_response_id": "resp_1", "input": "."}),
            json!({"conversation": "conv_1"}),
            json!({"conversation": {"id": "conv_1"}}),
            json!({"prompt": {"id": "pmpt_1"}}),
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]}),
            json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            json!({"messages": [{"content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]}),
            json!({"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": "https://x"}}]}]}),
            json!({"messages": [{"content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]}),
            json!({"messages": [{"content": [{"type": "container_upload", "file_id": "f"}]}]}),
            json!({"container": "container_1"}),
            json!({"mcp_servers": [{"url": "https://x"}]}),
            json!({"cachedContent": "cachedContents/1"}),
            json!({"extra_body": {"google": {"cached_content": "cachedContents/1"}}}),
            json!({"contents": [{"parts": [{"fileData": {"fileUri": "https://x"}}]}]}),
            json!({"contents": [{"parts": [{"inline_data": {"data": "AAAA"}}]}]}),
            json!({"messages": [{"content": [{"document": {"source": {"s3Location": {"uri": "s3://b/k"}}}}]}]}),
            json!({"messages": [{"role": "user", "content": "x", "images": ["AAAA"]}]}),
            json!({"tools": [{"type": "web_search"}]}),
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            json!({"tools": [{"type": "function", "function": {}}, {"type": "file_search", "vector_store_ids": ["v"]}]}),
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
            json!({"tools": [{"type": "mcp", "server_url": "https://x"}]}),
            json!({"tools": [{"type": "computer_use_preview"}]}),
            json!({"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}),
            json!({"tools": [{"codeExecution": {}}]}),
            json!({"web_search_options": {}}),
            json!({"search_parameters": {"mode": "on"}}),
        ] {
            assert!(named(&body), "{body}");
        }
    }

    #[test]
    fn a_prompt_that_is_in_the_body_is_bounded_by_it() {
        for body in [
            json!({"model": "m", "messages": [{"role": "user", "content": "file_id image_url"}]}),
            json!({"previous_response_id": null, "conversation": null, "container": null, "input": "x"}),
            json!({"prompt": "text"}),
            json!({"prompt": ["a", "b"]}),
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"file_id": {"type": "string"}}}}}]}),
            json!({"tools": [{"name": "f", "input_schema": {"properties": {"conversation": {}}}}]}),
            json!({"tools": [{"type": "custom", "name": "f"}]}),
            json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"image": {}}}}]}]}),
            json!({"messages": [{"content": [{"type": "text", "text": "x"}, {"type": "document", "source": {"type": "text", "data": "x"}}]}]}),
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {"properties": {"container": {}}}}}}),
            json!([1, "x", null]),
        ] {
            assert!(!named(&body), "{body}");
        }
        for unreadable in [&b"no json"[..], br#"{"input":"\ud83d"}"#, br#"{"x":1e999}"#, b"\"\xff\""] {
            assert!(names_more(unreadable), "what cannot be looked at may name anything");
        }
    }
}
