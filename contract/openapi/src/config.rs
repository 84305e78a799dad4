//! The JSON Schema of a configuration file, made from the API's own types. Built natively and committed
//! (`admin-api/openapi/config.schema.json`).

use contract::config::Config;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// Makes the schema. In a file a credential may be a reference to a variable, and so may each of its texts; a token's end
/// may be a date.
pub fn schema() -> Value {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>().to_value();
    schema["title"] = json!("Configuration of Token Manager");
    let credential = &mut schema["$defs"]["CreateRouteRequest"]["properties"]["credential"];
    let object = credential.take();
    *credential = json!({
        "description": "The credential for the upstream, or a reference to the environment variable that holds it as JSON.",
        "anyOf": [{ "type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$" }, object],
    });
    let end = &mut schema["$defs"]["ConfigToken"]["properties"]["expires_at"];
    let number = end.take();
    *end = json!({
        "description": "The token's end, such as 2027-06-30T00:00:00Z, or in unix ms; it never expires if absent.",
        "anyOf": [{ "type": "string", "format": "date-time" }, { "type": number["type"] }],
    });
    schema
}
