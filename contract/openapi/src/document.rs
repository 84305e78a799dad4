//! The OpenAPI 3.1 document, made from the endpoints' own types. Built natively and committed
//! (`admin-api/openapi.json`); no Worker contains this module.
//!
//! To add an endpoint, derive `JsonSchema` for its types under the feature `schema`. The rest is in `endpoint!`.

mod frame;
mod operation;
#[cfg(test)]
mod tests;

use contract::{Endpoint, Visitor};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Makes the document.
pub fn document() -> Value {
    let mut builder = Builder::new();
    contract::visit(&mut builder);
    let mut document = builder.finish();
    spell_out_any(&mut document);
    document
}

/// Replaces each schema `true` by `{}`: both admit any value, but OpenAPI tools know only objects.
fn spell_out_any(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(spell_out_any),
        Value::Object(map) => {
            for name in ["schema", "items"] {
                map.get_mut(name).into_iter().for_each(spell_out_one);
            }
            if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
                properties.values_mut().for_each(spell_out_one);
            }
            map.values_mut().for_each(spell_out_any);
        }
        _ => {}
    }
}

fn spell_out_one(schema: &mut Value) {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
}

struct Builder {
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Builder {
    fn new() -> Self {
        let settings =
            SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
        Self { schemas: settings.into_generator(), paths: Map::new() }
    }
}

impl Visitor for Builder {
    fn visit<E: Endpoint>(&mut self)
    where
        E::Request: JsonSchema + DeserializeOwned,
        E::Response: JsonSchema,
    {
        let operation = self.operation::<E>();
        let path = self.paths.entry(E::PATTERN.to_owned()).or_insert_with(|| json!({}));
        path[E::METHOD.to_lowercase()] = operation;
    }
}
