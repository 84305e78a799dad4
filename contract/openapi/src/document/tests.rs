use super::operation::example;
use super::*;
use contract::Body;
use contract::{Endpoint, Visitor};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

struct Examples(Vec<String>);

impl Visitor for Examples {
    fn visit<E: Endpoint>(&mut self)
    where
        E::Request: JsonSchema + DeserializeOwned,
        E::Response: JsonSchema,
    {
        let name = format!("{} {}", E::METHOD, E::PATTERN);
        assert!(!E::ABOUT.trim().is_empty(), "{name} has no description");
        let takes_body = E::TERMS.body != Body::None;
        let is_empty = std::any::type_name::<E::Request>() == "()";
        assert_eq!(takes_body, E::METHOD != "GET" && !is_empty, "{name}");
        match example::<E>() {
            Some(example) => {
                let read = serde_json::from_value::<E::Request>(example);
                assert!(read.is_ok(), "{name}: {}", read.err().unwrap());
            }
            None if takes_body => self.0.push(name),
            None => {}
        }
    }
}

#[test]
fn every_request_body_has_a_valid_example() {
    let mut examples = Examples(vec![]);
    contract::visit(&mut examples);
    assert_eq!(examples.0, Vec::<String>::new());
}

#[test]
fn every_endpoint_is_in_the_document() {
    let document = document();
    for contract::Row { method, pattern, action, .. } in contract::ENDPOINTS {
        let operation = &document["paths"][*pattern][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {pattern}");
        assert_eq!(operation.get("x-access").is_some(), action.is_some(), "{method} {pattern}");
    }
}

#[test]
fn every_reference_can_be_resolved() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(to)) = map.get("$ref") {
                    let pointer = to.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{to}");
                }
                map.values().for_each(|v| walk(v, document));
            }
            Value::Array(list) => list.iter().for_each(|v| walk(v, document)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}
