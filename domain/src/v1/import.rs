//! Import of the earlier system's data: a plan, made without touching anything.
//!
//! | there | here |
//! |---|---|
//! | `token:<hash>` in KV, rows of `tokens` | a token with the same hash, scopes and end; without scopes it grants nothing |
//! | `routes` in KV | routes; a secret that the dump has is sealed to its route, one that it lacks leaves the route disabled |
//! | rows of `teams`, and teams that tokens name | teams |
//! | rows of `token_usage_logs` | calls |
//!
//! Ids are derived from the old data, so a second plan finds what the first made. The gateway has counted under the
//! same ids before the import ([`v1::token_id`]).

mod calls;

use crate::access::path::RoutePath;
use crate::access::scope::Scope;
use crate::credential::Credential;
use crate::id::{RouteId, TeamId, TokenId};
use crate::problem::{ImportNote, Problem};
use crate::time::{UnixMs, parse_v1};
use crate::token::TokenHash;
use crate::upstream::address::{AddressRules, UpstreamUrl};
use crate::upstream::target::RouteCredential;
use crate::usage::{UsageEvent, clip};
use crate::v1::auth::secret_value;
use crate::v1::dump::{Row, Table, flag, list, object_of, rows_of, text, unwrapped};
use crate::v1::kv::{self as v1, UNKNOWN_TEAM};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One thing of the dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportItem {
    /// `team`, `token`, `route`, `calls` or `entry`.
    pub kind: String,
    /// A name or path, and of a token the head of its hash.
    pub subject: String,
    /// The result.
    pub outcome: ImportOutcome,
    /// Notes on it, and why it was refused.
    pub notes: Vec<Problem>,
}

/// The result for one thing of the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ImportOutcome {
    /// It was made, or would be.
    Created,
    /// It is there already and stays as it is.
    Exists,
    /// It cannot be taken.
    Refused,
}

/// A team to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedTeam {
    /// Its slug, which is its id.
    pub id: TeamId,
    /// Its name, at most 255 characters.
    pub name: String,
    /// Its description, at most 500 characters.
    pub description: Option<String>,
}

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedToken {
    /// Its id, made from the hash.
    pub id: TokenId,
    /// The hash of its secret, as it was.
    pub hash: TokenHash,
    /// Its name.
    pub name: String,
    /// The team that it named.
    pub team: TeamId,
    /// Its description, at most 500 characters.
    pub description: Option<String>,
    /// Its scopes, less those that cannot be read.
    pub scopes: Vec<Scope>,
    /// When it ends, unix ms; `None` is never.
    pub expires_at: Option<UnixMs>,
    /// When it was made, unix ms, if that can be read.
    pub created_at: Option<UnixMs>,
    /// Whether it did not work, and is made disabled.
    pub is_disabled: bool,
}

/// A route to be made.
#[derive(Clone, Debug)]
pub struct ImportedRoute {
    /// Its id, made from the path.
    pub id: RouteId,
    /// Its path.
    pub path: RoutePath,
    /// Its name, at most 255 characters.
    pub name: String,
    /// Its description, at most 500 characters.
    pub description: Option<String>,
    /// The upstream's address.
    pub upstream: UpstreamUrl,
    /// Its tags, less those of an illegal form.
    pub tags: Vec<String>,
    /// Its credential, if the dump has the secrets.
    pub credential: Option<Credential>,
    /// Whether its credential is complete; without it the route is made disabled.
    pub enabled: bool,
}

/// A call, by the token's hash.
#[derive(Clone, Debug)]
pub struct ImportedCall {
    /// Its place in the table, from 0.
    pub row: usize,
    /// The hash of the token's secret.
    pub hash: TokenHash,
    /// Without token and team.
    pub event: UsageEvent,
}

/// Everything that the dump holds, with notes.
#[derive(Debug, Default)]
pub struct Plan {
    /// Teams, each with notes.
    pub teams: Vec<(ImportedTeam, Vec<Problem>)>,
    /// Tokens, each with notes.
    pub tokens: Vec<(ImportedToken, Vec<Problem>)>,
    /// Routes, each with notes.
    pub routes: Vec<(ImportedRoute, Vec<Problem>)>,
    /// Whether the dump has a route table that could be read. Only then may the one in KV be replaced.
    pub has_route_table: bool,
    /// Calls, in the order of their rows.
    pub calls: Vec<ImportedCall>,
    /// Things that cannot be taken, with the reasons.
    pub refused: Vec<ImportItem>,
}

impl Plan {
    fn refuse(&mut self, kind: &str, subject: &str, why: ImportNote) {
        self.refused.push(ImportItem {
            kind: kind.to_owned(),
            subject: clip(subject, 200),
            outcome: ImportOutcome::Refused,
            notes: vec![why.into()],
        });
    }
}

/// Reads a dump. `rules` are passed to [`UpstreamUrl::parse`].
pub fn plan(
    kv: &BTreeMap<String, Value>,
    tables: &BTreeMap<Table, Value>,
    rules: impl Into<AddressRules>,
) -> Plan {
    let mut plan = Plan::default();
    let kv = &crate::collect::map(kv.iter().map(|(key, value)| (key.clone(), unwrapped(key, value))));
    let mut rows = |table: Table, name: &str| {
        tables.get(&table).map_or(Some(vec![]), rows_of).unwrap_or_else(|| {
            plan.refuse("entry", name, ImportNote::NotATable);
            vec![]
        })
    };
    let team_rows = rows(Table::Teams, "teams");
    let token_rows = rows(Table::Tokens, "tokens");
    let route_rows = rows(Table::Routes, "routes");
    let call_rows = rows(Table::TokenUsageLogs, "token_usage_logs");

    plan_tokens(&mut plan, kv, &token_rows);
    plan_teams(&mut plan, &team_rows);
    plan_routes(&mut plan, kv, &route_rows, rules.into());
    calls::plan_calls(&mut plan, call_rows);
    for key in kv.keys() {
        let is_known =
            key == crate::kv::ROUTES_KEY || key.starts_with("token:") || key.starts_with("secret:");
        if !is_known {
            plan.refuse("entry", key, ImportNote::UnknownKey);
        }
    }
    plan
}

fn plan_tokens(plan: &mut Plan, kv: &BTreeMap<String, Value>, rows: &[Row]) {
    let mut by_hash: BTreeMap<String, (Row, Vec<Problem>)> = BTreeMap::new();
    for row in rows {
        match text(row, &["token_hash", "hash"]) {
            Some(hash) => {
                let only_row = vec![ImportNote::OnlyInTable.into()];
                by_hash.insert(hash.to_owned(), (row.clone(), only_row));
            }
            None => plan.refuse("token", text(row, &["name"]).unwrap_or("?"), ImportNote::NoHash),
        }
    }
    let mut tokens = Vec::new();
    for (key, value) in kv {
        let Some(hash) = key.strip_prefix("token:") else { continue };
        let row = by_hash.remove(hash).map(|(row, _)| row).unwrap_or_default();
        let Some(entry) = object_of(value) else {
            plan.refuse("token", hash, ImportNote::EntryNotJson);
            continue;
        };
        tokens.push((hash.to_owned(), entry, row, vec![], false));
    }
    for (hash, (row, notes)) in by_hash {
        tokens.push((hash, row.clone(), row, notes, true));
    }
    for (hash, entry, row, notes, is_dead) in tokens {
        if entry.contains_key("v") {
            plan.refuse("token", &hash, ImportNote::OwnEntry);
            continue;
        }
        match token(&hash, &entry, &row, notes, is_dead) {
            Ok(token) => plan.tokens.push(token),
            Err(why) => plan.refuse("token", &hash, why),
        }
    }
}

fn token(
    hash: &str,
    entry: &Row,
    row: &Row,
    mut notes: Vec<Problem>,
    is_dead: bool,
) -> Result<(ImportedToken, Vec<Problem>), ImportNote> {
    let hash: TokenHash = hash.parse().map_err(|_| ImportNote::BadHash)?;
    let name = text(entry, &["name"]).or_else(|| text(row, &["name"])).ok_or(ImportNote::NoName)?;
    let time = |names: &[&str]| -> Result<Option<UnixMs>, ImportNote> {
        let found = names.iter().find_map(|n| entry.get(*n).or_else(|| row.get(*n)).filter(|v| !v.is_null()));
        let Some(value) = found else { return Ok(None) };
        // An end that cannot be read must not be taken for no end.
        let at = value.as_str().and_then(parse_v1);
        at.map(Some)
            .ok_or_else(|| ImportNote::BadTime { field: (*names.first().unwrap_or(&"a time")).to_owned() })
    };
    let mut scopes = Vec::new();
    // If KV has the token, only its scopes count: others in the table were never in force.
    for text in list(entry.get("scopes")).unwrap_or_default() {
        match text.parse::<Scope>() {
            Ok(scope) if !scopes.contains(&scope) => scopes.push(scope),
            Ok(_) => {}
            Err(why) => notes.push(ImportNote::ScopeLeftOut { scope: format!("{text:?}"), why }.into()),
        }
    }
    if scopes.is_empty() {
        notes.push(ImportNote::NoScopes.into());
    }
    let team = text(entry, &["team_id", "department"]).or_else(|| text(row, &["team_id", "department"]));
    if team.is_none() {
        notes.push(ImportNote::NoTeam { team: UNKNOWN_TEAM.to_owned() }.into());
    }
    let is_off = flag(row, "is_active") == Some(false);
    if is_off {
        notes.push(ImportNote::NotActive.into());
    }
    let token = ImportedToken {
        id: v1::token_id(&hash),
        name: clip(name, 255),
        team: v1::team_id(team.unwrap_or_default()),
        description: text(row, &["description"]).map(|text| text.chars().take(500).collect()),
        expires_at: time(&["expires_at"])?,
        created_at: time(&["created_at"]).unwrap_or(None),
        is_disabled: is_off || is_dead,
        scopes,
        hash,
    };
    Ok((token, notes))
}

fn plan_teams(plan: &mut Plan, rows: &[Row]) {
    let mut teams: BTreeMap<TeamId, (ImportedTeam, Vec<Problem>)> = BTreeMap::new();
    for row in rows {
        let Some(key) = text(row, &["id", "slug", "name"]) else {
            plan.refuse("team", "?", ImportNote::NoId);
            continue;
        };
        let id = v1::team_id(key);
        let notes = if id.as_str() == key {
            vec![]
        } else {
            vec![ImportNote::Renamed { before: format!("{key:?}"), after: id.to_string() }.into()]
        };
        let team = ImportedTeam {
            name: text(row, &["name"]).unwrap_or(key).chars().take(255).collect(),
            description: text(row, &["description"]).map(|text| text.chars().take(500).collect()),
            id: id.clone(),
        };
        teams.insert(id, (team, notes));
    }
    for (token, _) in &plan.tokens {
        teams.entry(token.team.clone()).or_insert_with(|| {
            let name = token.team.to_string();
            let team = ImportedTeam { id: token.team.clone(), name, description: None };
            (team, vec![ImportNote::NamedByToken.into()])
        });
    }
    plan.teams.extend(teams.into_values());
}

fn plan_routes(plan: &mut Plan, kv: &BTreeMap<String, Value>, rows: &[Row], rules: AddressRules) {
    let about = |path: &str| rows.iter().find(|row| text(row, &["path"]) == Some(path));
    let table = match kv.get(crate::kv::ROUTES_KEY) {
        None => Value::Null,
        Some(value) => object_of(value).map_or(Value::Bool(false), Value::Object),
    };
    if table == Value::Bool(false) {
        plan.refuse("route", "routes", ImportNote::RoutesNotJson);
    }
    let parsed = table.as_object().and_then(|_| crate::kv::parse_routes(&table.to_string(), rules).ok());
    plan.has_route_table = parsed.is_some();
    if let Some(parsed) = parsed {
        for path in parsed.unreadable {
            plan.refuse("route", &path, ImportNote::RouteNotTaken);
        }
        for route in parsed.table.iter() {
            let mut notes = Vec::new();
            let credential = credential(&route.target.credential, kv, &mut notes);
            let row = about(route.rule.path.as_str());
            let name = row.and_then(|row| text(row, &["name"])).unwrap_or(route.rule.path.as_str());
            plan.routes.push((
                ImportedRoute {
                    id: v1::route_id(route.rule.path.as_str()),
                    path: route.rule.path.clone(),
                    name: name.chars().take(255).collect(),
                    description: row
                        .and_then(|row| text(row, &["description"]))
                        .map(|text| text.chars().take(500).collect()),
                    upstream: route.target.upstream.clone(),
                    tags: route
                        .rule
                        .tags
                        .iter()
                        .filter(|tag| crate::access::scope::is_label(tag))
                        .cloned()
                        .collect(),
                    enabled: credential.is_ok(),
                    credential: credential.unwrap_or_default(),
                },
                notes,
            ));
        }
    }
    for row in rows {
        let path = text(row, &["path"]).unwrap_or("?");
        if !plan.routes.iter().any(|(route, _)| route.path.as_str() == path) {
            plan.refuse("route", path, ImportNote::RouteOnlyInTable);
        }
    }
}

/// Makes a route's credential. `Err` if the route had one that cannot be made: it must not be called without.
fn credential(
    wanted: &RouteCredential,
    kv: &BTreeMap<String, Value>,
    notes: &mut Vec<Problem>,
) -> Result<Option<Credential>, ()> {
    let auth = match wanted {
        RouteCredential::None => return Ok(None),
        RouteCredential::V1(auth) => auth,
        RouteCredential::Sealed(_) | RouteCredential::Unreadable => {
            notes.push(ImportNote::CredentialUnreadable.into());
            return Err(());
        }
    };
    let mut secrets = Vec::new();
    for name in auth.references() {
        let value = kv.get(&name.kv_key()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let Some(secret) = value.as_deref().and_then(secret_value) else {
            notes.push(ImportNote::SecretMissing { secret: name.as_str().to_owned() }.into());
            return Err(());
        };
        secrets.push(secret);
    }
    auth.resolve(secrets).map(Some).ok_or_else(|| {
        notes.push(ImportNote::SecretNotSendable.into());
    })
}

#[cfg(test)]
mod tests;
