//! The items of a configuration and of the system, in one canonical form.

use super::Config;
use crate::channels::{ChannelRequest, ChannelView};
use crate::prices::ModelPrice;
use crate::routes::{NewRoute, RouteView, UpstreamView};
use crate::teams::{NewTeam, TeamView};
use crate::tokens::{NewToken, TokenView};
use domain::access::record::TokenState;
use domain::ai::price::Price;
use domain::alert::watch::DEFAULT_THRESHOLDS;
use domain::config::{Item, Kind};
use domain::error::FieldError;
use domain::id::{RouteId, TeamId};
use domain::problem::Invalid;
use domain::time::UnixMs;
use domain::upstream::address::AddressRules;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The field that stands for a route's credential: the reference to the variable that holds it.
pub const CREDENTIAL: &str = "credential";

/// The field that stands for a channel's receiver.
pub const TARGET: &str = "target";

/// Returns the reference that an export has for the credential of a route.
pub fn reference(path: &str) -> String {
    format!("${{{}_CREDENTIAL}}", variable(path))
}

/// Returns the reference that an export has for the receiver of a channel.
pub fn reference_of_target(key: &str) -> String {
    match key.split_once('/') {
        // So that a channel of the system has none of a team's.
        Some((team, name)) if !team.is_empty() => {
            format!("${{CHANNEL_{}__{}_TARGET}}", variable(team), variable(name))
        }
        _ => format!("${{SYSTEM_CHANNEL_{}_TARGET}}", variable(key)),
    }
}

/// Writes a name as a variable has it: other letters as their numbers, and `_` for what is no letter.
fn variable(name: &str) -> String {
    let letter = |c: char| match c {
        _ if c.is_ascii_alphanumeric() => c.to_ascii_uppercase().to_string(),
        _ if c.is_ascii() => "_".to_owned(),
        _ => format!("U{:X}", u32::from(c)),
    };
    name.trim_matches('/').chars().map(letter).collect()
}

fn item(kind: Kind, key: String, fields: Value) -> Item {
    let fields = if let Value::Object(fields) = fields { fields } else { serde_json::Map::new() };
    Item::new(kind, key, fields)
}

/// Makes the item of a team.
pub fn item_of_team(team: &TeamView) -> Item {
    let zone = team.zone.as_ref().map(|zone| &zone.name);
    item(
        Kind::Team,
        team.id.to_string(),
        json!({
            "id": team.id, "name": team.name, "description": team.description, "color": team.color, "icon": team.icon,
            "scope_cap": team.scope_cap, "limits": team.limits, "budget": team.budget, "zone": zone,
        }),
    )
}

fn item_of_new_team(team: &NewTeam) -> Item {
    item(
        Kind::Team,
        team.id.to_string(),
        json!({
            "id": team.id, "name": team.name, "description": team.description, "color": team.color, "icon": team.icon,
            "scope_cap": team.scope_cap, "limits": team.limits, "budget": team.budget, "zone": team.zone,
        }),
    )
}

/// Makes the item of a route. `paths` are those of all routes by their ids.
pub fn item_of_route(route: &RouteView, upstream: &UpstreamView, paths: &BTreeMap<RouteId, String>) -> Item {
    let mut settings = json!(upstream.settings);
    let second = upstream.settings.failover.as_ref().and_then(|failover| paths.get(&failover.route_id));
    if let (Some(path), Some(failover)) = (second, settings.get_mut("failover")) {
        failover["route_id"] = json!(path);
    }
    let credential = upstream.credential.as_ref().map(|_| reference(route.path.as_str()));
    item(
        Kind::Route,
        route.path.as_str().to_owned(),
        json!({
            "path": route.path, "name": route.name, "description": route.description, "backend_url": upstream.backend_url,
            "tags": route.tags, "methods": route.methods, "enabled": route.enabled, "timeout_ms": upstream.timeout_ms,
            "cors_origins": upstream.cors_origins, "forward_cookies": upstream.forward_cookies, "settings": settings,
            CREDENTIAL: credential,
        }),
    )
}

fn item_of_new_route(route: &NewRoute) -> Item {
    item(
        Kind::Route,
        route.path.as_str().to_owned(),
        json!({
            "path": route.path, "name": route.name, "description": route.description, "backend_url": route.upstream,
            "tags": route.tags, "methods": route.methods, "enabled": route.enabled, "timeout_ms": route.timeout_ms,
            "cors_origins": route.cors_origins, "forward_cookies": route.forward_cookies, "settings": route.settings,
        }),
    )
}

/// Returns the stable name of a token.
fn key_of_token(team: &str, name: &str) -> String {
    format!("{team}/{name}")
}

/// Makes the item of a token.
pub fn item_of_token(token: &TokenView) -> Item {
    item(
        Kind::Token,
        key_of_token(token.team_id.as_str(), &token.name),
        json!({
            "team_id": token.team_id, "name": token.name, "description": token.description, "scopes": token.scopes,
            "expires_at": token.expires_at, "ip_allow": token.ip_allow, "limits": token.limits,
            "inject_faults": token.inject_faults, "may_derive": token.may_derive,
            "enabled": token.state == TokenState::Active,
        }),
    )
}

fn item_of_new_token(token: &NewToken, enabled: bool) -> Item {
    item(
        Kind::Token,
        key_of_token(token.team.as_str(), &token.name),
        json!({
            "team_id": token.team, "name": token.name, "description": token.description, "scopes": token.scopes,
            "expires_at": token.expires_at, "ip_allow": token.ip_allow, "limits": token.limits,
            "inject_faults": token.inject_faults, "may_derive": token.may_derive, "enabled": enabled,
        }),
    )
}

/// Makes the item of a price.
pub fn item_of_price(price: &ModelPrice) -> Item {
    priced(&price.model, &price.price, &price.source)
}

fn priced(model: &str, price: &Price, source: &str) -> Item {
    item(
        Kind::Price,
        model.to_owned(),
        json!({
            "model": model, "prompt": price.prompt, "completion": price.completion, "cached": price.cached,
            "cache_write": price.cache_write, "source": source,
        }),
    )
}

/// Returns the stable name of a channel. One of the system has no team.
pub(super) fn key_of_channel(team: Option<&TeamId>, name: &str) -> String {
    key_of_token(team.map_or("", TeamId::as_str), name)
}

/// Makes the item of a channel.
pub fn item_of_channel(channel: &ChannelView) -> Item {
    let key = key_of_channel(channel.team_id.as_ref(), &channel.name);
    let target = reference_of_target(&key);
    item(
        Kind::Channel,
        key,
        json!({
            "name": channel.name, "team_id": channel.team_id, TARGET: target, "events": channel.events,
            "thresholds": channel.thresholds, "language": channel.language, "enabled": channel.enabled,
        }),
    )
}

fn item_of_new_channel(channel: &ChannelRequest) -> Item {
    let thresholds = channel.thresholds.clone().unwrap_or_else(|| DEFAULT_THRESHOLDS.to_vec());
    item(
        Kind::Channel,
        key_of_channel(channel.team_id.as_ref(), channel.name.as_deref().unwrap_or_default()),
        json!({
            "name": channel.name, "team_id": channel.team_id, "events": channel.events, "thresholds": thresholds,
            "language": channel.language, "enabled": channel.enabled,
        }),
    )
}

impl Config {
    /// Checks every field and returns the items. An error names the field by its place, such as `routes.2.path`. The
    /// items of routes lack their credentials, and those of channels their receivers.
    pub fn items(&self, rules: AddressRules, now: UnixMs) -> Result<Vec<Item>, Vec<FieldError>> {
        let mut found = Found::default();
        if self.version != 1 {
            found.errors.push(FieldError::new("version", Invalid::Range { least: 1, most: 1 }));
        }
        for (i, team) in self.teams.iter().enumerate() {
            found.take("teams", i, "id", team.clone().validate().map(|team| item_of_new_team(&team)));
        }
        for (i, route) in self.routes.iter().enumerate() {
            found.take(
                "routes",
                i,
                "path",
                route.clone().validate(rules).map(|route| item_of_new_route(&route)),
            );
        }
        for (i, token) in self.tokens.iter().enumerate() {
            let checked = token.request().validate(now).map(|new| item_of_new_token(&new, token.enabled));
            found.take("tokens", i, "name", checked);
        }
        for (i, price) in self.prices.iter().enumerate() {
            let checked = price.request().validate(&price.model);
            found.take(
                "prices",
                i,
                "model",
                checked.map(|(set, source)| priced(&price.model, &set, &source)),
            );
        }
        for (i, channel) in self.channels.iter().enumerate() {
            let checked = channel.request().check(channel.team_id.is_some(), rules, vec![]);
            found.take("channels", i, "name", checked.map(|checked| item_of_new_channel(&checked.request)));
        }
        if found.errors.is_empty() { Ok(found.items) } else { Err(found.errors) }
    }
}

#[derive(Default)]
struct Found {
    items: Vec<Item>,
    errors: Vec<FieldError>,
    named: BTreeSet<(Kind, String)>,
}

impl Found {
    fn take(&mut self, list: &str, i: usize, name: &str, checked: Result<Item, Vec<FieldError>>) {
        match checked {
            Ok(item) => {
                if !self.named.insert((item.kind, item.key.clone())) {
                    self.errors.push(FieldError::new(format!("{list}.{i}.{name}"), Invalid::Twice));
                }
                self.items.push(item);
            }
            Err(errors) => self.errors.extend(
                errors
                    .into_iter()
                    .map(|error| FieldError { field: format!("{list}.{i}.{}", error.field), ..error }),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(config: Value) -> Result<Vec<Item>, Vec<String>> {
        let config: Config = serde_json::from_value(config).unwrap();
        let items = config.items(AddressRules::from(false), 0);
        items.map_err(|errors| errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn an_error_names_the_place_in_the_file() {
        let found = items(json!({ "version": 2,
            "teams": [{"id":"a","name":"A"},{"id":"a","name":""}],
            "routes": [{"name":"x","path":"/api/x","backend_url":"https://x.example/"},{"name":"y","path":"api","backend_url":"z"}],
            "tokens": [{"name":"t","team_id":"a","scopes":["a b"]}, {"name":"u","team_id":"a","scopes":["*"]}, {"name":"u","team_id":"a","scopes":["*"]}],
            "prices": [{"model":"m","prompt":1,"completion":1_000_000_000_001_u64}],
            "channels": [{"name":"c","events":["budget"],"target":{"kind":"slack","url":"x"}},
                {"name":" c","events":["budget"],"team_id":"a","thresholds":[0]}, {"name":"d","events":[]},
                {"name":"e","events":["budget"]}, {"name":"e ","events":["budget"]}],
        }));
        assert_eq!(
            found.unwrap_err(),
            [
                "version",
                "teams.1.name",
                "routes.1.path",
                "routes.1.backend_url",
                "tokens.0.scopes.0",
                "tokens.2.name",
                "prices.0.completion",
                "channels.0.target.url",
                "channels.1.thresholds",
                "channels.2.events",
                "channels.4.name"
            ]
        );
    }

    #[test]
    fn what_is_left_out_and_what_has_its_default_are_the_same() {
        let short = json!({"name":"t","team_id":"a","scopes":["*"]});
        let long = json!({"name":" t ","team_id":"a","scopes":["*"],"description":"","expires_at":null,"ip_allow":[],
            "limits":{},"inject_faults":false,"may_derive":false,"enabled":true});
        let of = |token: Value| items(json!({"version":1,"tokens":[token]})).unwrap();
        assert_eq!(of(short), of(long));
    }

    #[test]
    fn the_mark_of_a_critical_field_is_no_field() {
        let of = |limits: Value| {
            items(json!({"version":1,"tokens":[{"name":"t","team_id":"a","scopes":["*"],"limits":limits}]}))
                .unwrap()
        };
        let bare = of(json!({"models":["gpt-4o*"]}));
        assert_eq!(bare, of(json!({"models":["gpt-4o*"],"critical":["models"]})));
        assert_eq!(bare.first().unwrap().fields.get("limits"), Some(&json!({"models":["gpt-4o*"]})));
    }

    #[test]
    fn a_reference_is_a_variables_name() {
        assert_eq!(reference("/api/open-ai"), "${API_OPEN_AI_CREDENTIAL}");
        assert_eq!(reference_of_target("ops/Night shift"), "${CHANNEL_OPS__NIGHT_SHIFT_TARGET}");
        assert_eq!(reference_of_target("/夜班"), "${SYSTEM_CHANNEL_U591CU73ED_TARGET}");
    }
}
