//! One step of a plan, by the endpoints that people use for it.

use super::credentials::Credentials;
use super::present::{Place, Present};
use super::targets::Targets;
use crate::error::Failure;
use crate::request::Call;
use crate::router::{Ask, act};
use contract::Endpoint;
use contract::config::{CREDENTIAL, TARGET};
use contract::{
    channels as channel_api, prices as price_api, routes as route_api, teams as team_api, tokens as token_api,
};
use domain::config::{Deed, FieldChange, Fields, Item, Kind, Step};
use domain::secret::{Reveal, Revealed};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Outcome of a step: the secret of a token that was made, or why it failed.
type Outcome = Result<Option<String>, String>;

/// The secrets of a configuration.
#[derive(Debug)]
pub struct Secrets<'a> {
    pub credentials: Credentials<'a>,
    pub targets: Targets<'a>,
}

impl Secrets<'_> {
    fn credential(&self, path: &str) -> Result<Value, Failure> {
        revealed(self.credentials.get(path))
    }

    /// Writes a channel's receiver where the file has its reference.
    fn put_target(&self, body: &mut Fields, key: &str) -> Result<(), Failure> {
        if let Some(target) = body.get_mut(TARGET) {
            *target = revealed(self.targets.get(key))?;
        }
        Ok(())
    }
}

/// Carries a step out.
pub async fn carry_out(
    call: &Call,
    step: &Step,
    present: &mut Present,
    wanted: &[Item],
    secrets: &Secrets<'_>,
) -> Result<Outcome, Failure> {
    let mut asks = match &step.deed {
        Deed::Create { fields } => vec![create(step, fields, present, secrets)?],
        Deed::Update { changes } => update(step, changes, present, wanted, secrets)?,
        Deed::Delete => vec![delete(step, present)],
    };
    // The first one changes the version that the others would name.
    for ask in asks.iter_mut().skip(1) {
        ask.version = None;
    }
    let mut token = None;
    for ask in &asks {
        let (status, body) = act(call, ask).await?;
        if !(200..300).contains(&status) {
            return Ok(Err(reason(&body)));
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Deed::Create { fields }, Some(id)) = (&step.deed, text("id")) {
            let item = Item { kind: step.kind, key: step.key.clone(), fields: fields.clone() };
            present.put(item, id, body.get("version").and_then(Value::as_u64));
            token = text("token");
        }
        if let (Some(place), Some(version)) = (
            present.places.get_mut(&(step.kind, step.key.clone())),
            body.get("version").and_then(Value::as_u64),
        ) {
            place.version = Some(version);
        }
    }
    Ok(Ok(token))
}

/// Returns why an endpoint refused a step: its message, and the field that it names.
fn reason(body: &Value) -> String {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let detail = body.get("details").and_then(|details| details.get(0));
    let detail = detail.map(|detail| format!(" ({} {})", text(detail, "field"), text(detail, "message")));
    format!("{}{}", text(body, "message"), detail.unwrap_or_default())
}

fn create(step: &Step, fields: &Fields, present: &Present, secrets: &Secrets<'_>) -> Result<Ask, Failure> {
    let mut body = fields.clone();
    let (method, path) = match step.kind {
        Kind::Team => (team_api::CreateTeam::METHOD, team_api::CreateTeam::path(&[])),
        Kind::Route => {
            name_second(&mut body, present);
            if let Some(credential) = body.get_mut(CREDENTIAL) {
                *credential = secrets.credential(&step.key)?;
            }
            (route_api::CreateRoute::METHOD, route_api::CreateRoute::path(&[]))
        }
        Kind::Token => (token_api::CreateToken::METHOD, token_api::CreateToken::path(&[])),
        Kind::Price => return Ok(set_price(&step.key, fields)),
        Kind::Channel => {
            secrets.put_target(&mut body, &step.key)?;
            (channel_api::CreateChannel::METHOD, channel_api::CreateChannel::path(&[]))
        }
    };
    Ok(Ask { method, path, body: Some(Value::Object(body)), version: None })
}

fn set_price(model: &str, fields: &Fields) -> Ask {
    let mut body = fields.clone();
    body.remove("model");
    let (method, path) = (price_api::SetPrice::METHOD, price_api::SetPrice::path(&[model]));
    Ask { method, path, body: Some(Value::Object(body)), version: None }
}

fn update(
    step: &Step,
    changes: &BTreeMap<String, FieldChange>,
    present: &Present,
    wanted: &[Item],
    secrets: &Secrets<'_>,
) -> Result<Vec<Ask>, Failure> {
    let Place { id, version } = place(step, present);
    let mut body = Map::new();
    for (name, change) in changes.iter().filter(|(name, _)| !is_separate(step.kind, name)) {
        body.insert(name.clone(), or_default(name, &change.after));
    }
    if step.kind == Kind::Price {
        let item = wanted.iter().find(|item| item.kind == Kind::Price && item.key == step.key);
        return Ok(item.map(|item| set_price(&step.key, &item.fields)).into_iter().collect());
    }
    name_second(&mut body, present);
    if step.kind == Kind::Channel {
        secrets.put_target(&mut body, &step.key)?;
    }
    let mut asks = vec![];
    if !body.is_empty() {
        let (method, path) = match step.kind {
            Kind::Team => (team_api::UpdateTeam::METHOD, team_api::UpdateTeam::path(&[&id])),
            Kind::Route => (route_api::UpdateRoute::METHOD, route_api::UpdateRoute::path(&[&id])),
            Kind::Channel => (channel_api::UpdateChannel::METHOD, channel_api::UpdateChannel::path(&[&id])),
            _ => (token_api::UpdateToken::METHOD, token_api::UpdateToken::path(&[&id])),
        };
        asks.push(Ask { method, path, body: Some(Value::Object(body)), version });
    }
    for (name, change) in changes.iter().filter(|(name, _)| is_separate(step.kind, name)) {
        let (method, path, body) = match (name.as_str(), change.after.is_null()) {
            (CREDENTIAL, true) => {
                (route_api::ClearCredential::METHOD, route_api::ClearCredential::path(&[&id]), None)
            }
            (CREDENTIAL, false) => {
                let body = Some(secrets.credential(&step.key)?);
                (route_api::SetCredential::METHOD, route_api::SetCredential::path(&[&id]), body)
            }
            (_, true) => (token_api::EnableToken::METHOD, token_api::EnableToken::path(&[&id]), None),
            (_, false) => (token_api::DisableToken::METHOD, token_api::DisableToken::path(&[&id]), None),
        };
        asks.push(Ask { method, path, body, version });
    }
    Ok(asks)
}

/// Whether a field has an endpoint of its own.
fn is_separate(kind: Kind, name: &str) -> bool {
    matches!((kind, name), (Kind::Route, CREDENTIAL) | (Kind::Token, "enabled"))
}

/// Returns the value that a request for a change needs; `null` stands for the default in a plan.
fn or_default(name: &str, after: &Value) -> Value {
    match (name, after) {
        ("tags" | "methods" | "cors_origins" | "ip_allow", Value::Null) => json!([]),
        ("settings", Value::Null) => json!({}),
        ("enabled", Value::Null) => json!(true),
        ("forward_cookies" | "inject_faults" | "may_derive", Value::Null) => json!(false),
        _ => after.clone(),
    }
}

fn delete(step: &Step, present: &Present) -> Ask {
    let Place { id, version } = place(step, present);
    let (method, path) = match step.kind {
        Kind::Team => (team_api::DeleteTeam::METHOD, team_api::DeleteTeam::path(&[&id])),
        Kind::Route => (route_api::DeleteRoute::METHOD, route_api::DeleteRoute::path(&[&id])),
        Kind::Token => (token_api::RevokeToken::METHOD, token_api::RevokeToken::path(&[&id])),
        Kind::Price => (price_api::DeletePrice::METHOD, price_api::DeletePrice::path(&[&id])),
        Kind::Channel => (channel_api::DeleteChannel::METHOD, channel_api::DeleteChannel::path(&[&id])),
    };
    Ask { method, path, body: None, version }
}

fn place(step: &Step, present: &Present) -> Place {
    present.place(step.kind, &step.key).cloned().unwrap_or(Place { id: step.key.clone(), version: None })
}

/// Writes the id of the second upstream where the file has its path.
fn name_second(body: &mut Fields, present: &Present) {
    let second =
        body.get_mut("settings").and_then(|settings| settings.get_mut("failover")?.get_mut("route_id"));
    if let Some(second) = second
        && let Some(place) = second.as_str().and_then(|path| present.place(Kind::Route, path))
    {
        *second = Value::String(place.id.clone());
    }
}

fn revealed(secret: Option<&impl Reveal>) -> Result<Value, Failure> {
    let value = secret.map(|secret| serde_json::to_value(Revealed(secret))).transpose();
    value.ok().flatten().ok_or_else(|| Failure::Internal("a secret is missing".to_owned()))
}
