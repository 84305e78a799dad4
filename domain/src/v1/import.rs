//! Import of the earlier system's data: a plan, made without touching anything.
//!
//! | there | here |
//! |---|---|
//! | `token:<hash>` in KV, rows of `tokens` | a token with the same hash, scopes and end; without scopes it grants nothing |
//! | `routes` in KV | routes; a secret that the dump has is sealed to its route, one that it lacks leaves the route disabled |
//! | rows of `teams`, and teams that tokens name | teams |
//! | rows of `token_usage_logs` | calls |
//!
//! Ids are made from what was there, so a second plan finds what the first made, and the gateway has counted under
//! the same ones before ([`v1::token_id`]).

use crate::access::path::{RequestPath, RoutePath};
use crate::access::scope::Scope;
use crate::credential::Credential;
use crate::id::{RouteId, TeamId, TokenId};
use crate::problem::{ImportNote, Problem};
use crate::route::RouteCredential;
use crate::time::{UnixMs, parse_v1};
use crate::token::TokenHash;
use crate::usage::outcome::Outcome;
use crate::usage::{UsageEvent, clip};
use crate::v1::kv::{self as v1, UNKNOWN_TEAM, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use url::Url;

/// The tables of the earlier system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Teams,
    Tokens,
    Routes,
    TokenUsageLogs,
}

/// One thing of the dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportItem {
    /// `team`, `token`, `route`, `calls` or `entry`.
    pub kind: String,
    /// A name or path, and of a token the head of its hash.
    pub subject: String,
    pub outcome: ImportOutcome,
    /// Notes on it, and why it was refused.
    pub notes: Vec<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ImportOutcome {
    Created,
    /// It is there already and stays as it is.
    Exists,
    /// It cannot be taken.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedTeam {
    pub id: TeamId,
    pub name: String,
    pub description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedToken {
    pub id: TokenId,
    pub hash: TokenHash,
    pub name: String,
    pub team: TeamId,
    pub description: Option<String>,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<UnixMs>,
    pub created_at: Option<UnixMs>,
    pub is_disabled: bool,
}

#[derive(Clone, Debug)]
pub struct ImportedRoute {
    pub id: RouteId,
    pub path: RoutePath,
    pub name: String,
    pub description: Option<String>,
    pub upstream: Url,
    pub tags: Vec<String>,
    pub credential: Option<Credential>,
    pub enabled: bool,
}

/// A call, by the token's hash.
#[derive(Clone, Debug)]
pub struct ImportedCall {
    /// Its place in the table, from 0.
    pub row: usize,
    pub hash: TokenHash,
    /// Without token and team.
    pub event: UsageEvent,
}

/// Everything that the dump holds, each thing with what there is to say of it.
#[derive(Debug, Default)]
pub struct Plan {
    pub teams: Vec<(ImportedTeam, Vec<Problem>)>,
    pub tokens: Vec<(ImportedToken, Vec<Problem>)>,
    pub routes: Vec<(ImportedRoute, Vec<Problem>)>,
    /// Whether the dump has a route table that could be read. Only then may the one in KV be replaced.
    pub has_route_table: bool,
    pub calls: Vec<ImportedCall>,
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

/// A row of a table, by the names of its columns.
pub type Row = Map<String, Value>;

/// Reads a dump. `allow_insecure` is passed to [`crate::upstream::address::parse_base`].
pub fn plan(kv: &BTreeMap<String, Value>, tables: &BTreeMap<Table, Value>, allow_insecure: bool) -> Plan {
    let mut plan = Plan::default();
    let kv = &kv.iter().map(|(key, value)| (key.clone(), unwrapped(key, value))).collect();
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
    plan_routes(&mut plan, kv, &route_rows, allow_insecure);
    plan_calls(&mut plan, call_rows);
    for key in kv.keys() {
        let is_known =
            key == crate::kv::ROUTES_KEY || key.starts_with("token:") || key.starts_with("secret:");
        if !is_known {
            plan.refuse("entry", key, ImportNote::UnknownKey);
        }
    }
    plan
}

/// KV and tables of one request.
pub type Part = (BTreeMap<String, Value>, BTreeMap<Table, Value>);

/// A token's entry in KV and its row in the table, if there are any.
type TokenSources = (Option<(String, Value)>, Option<Value>);

/// Cuts everything but calls into parts: first what is no token, then `most` tokens each, a token's entry of KV
/// together with its row, since the row alone says that it was switched off. `None` for a table that cannot be read.
pub fn settings_parts(
    kv: BTreeMap<String, Value>,
    mut tables: BTreeMap<Table, Value>,
    most: usize,
) -> Option<Vec<Part>> {
    let (entries, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
        kv.into_iter().partition(|(key, _)| key.starts_with("token:"));
    let mut tokens: BTreeMap<String, TokenSources> = BTreeMap::new();
    for (key, value) in entries {
        let hash = key.trim_start_matches("token:").to_owned();
        tokens.entry(hash).or_default().0 = Some((key, value));
    }
    let mut nameless = Vec::new();
    for row in tables.remove(&Table::Tokens).map_or(Some(vec![]), |table| rows_of(&table))? {
        match text(&row, &["token_hash", "hash"]).map(str::to_owned) {
            Some(hash) => tokens.entry(hash).or_default().1 = Some(row.into()),
            None => nameless.push(Value::from(row)),
        }
    }
    if !nameless.is_empty() {
        tables.insert(Table::Tokens, nameless.into());
    }
    let mut parts = Vec::new();
    if !rest.is_empty() || !tables.is_empty() {
        parts.push((rest, tables));
    }
    let tokens: Vec<_> = tokens.into_values().collect();
    for part in tokens.chunks(most.max(1)) {
        let rows: Vec<Value> = part.iter().filter_map(|(_, row)| row.clone()).collect();
        let tables =
            if rows.is_empty() { BTreeMap::new() } else { BTreeMap::from([(Table::Tokens, rows.into())]) };
        parts.push((part.iter().filter_map(|(entry, _)| entry.clone()).collect(), tables));
    }
    Some(parts)
}

/// Says of each row how many before it are alike in every field, where there is one ([`OCCURRENCE`]).
pub fn number_calls(rows: &mut [Row]) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        let times = seen.entry(serde_json::to_string(row).unwrap_or_default()).or_default();
        if *times > 0 {
            row.insert(OCCURRENCE.to_owned(), (*times).into());
        }
        *times += 1;
    }
}

/// The value itself where `wrangler kv bulk get` has put it into `{"value": …}`, with or without
/// metadata. A secret of the earlier system looks the same by itself: it is unwrapped only where
/// another such object is inside.
fn unwrapped(key: &str, value: &Value) -> Value {
    let is_secret = |text: &str| v1::secret_value(text).is_some();
    let inner = value
        .as_object()
        .filter(|object| object.keys().all(|k| matches!(k.as_str(), "value" | "metadata" | "expiration")))
        .and_then(|object| object.get("value")?.as_str())
        .filter(|text| !key.starts_with("secret:") || is_secret(text));
    inner.map_or_else(|| value.clone(), Value::from)
}

/// Reads a table as a list of objects, or as CSV; nothing is an empty one.
pub fn rows_of(table: &Value) -> Option<Vec<Row>> {
    match table {
        Value::Null => Some(vec![]),
        Value::Array(rows) => rows.iter().map(|row| row.as_object().cloned()).collect(),
        Value::String(text) => {
            let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
            let names = reader.headers().ok()?.clone();
            let row = |record: csv::StringRecord| -> Row {
                let pairs = names.iter().zip(record.iter());
                let value = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
                pairs.map(|(name, text)| (name.trim().to_owned(), value(text))).collect()
            };
            reader.records().map(|record| record.ok().map(row)).collect()
        }
        _ => None,
    }
}

fn text<'a>(row: &'a Row, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| row.get(*name)?.as_str()).map(str::trim).filter(|text| !text.is_empty())
}

/// A list that stands as JSON, as JSON in a text, or separated by commas.
fn list(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::Array(items) => Some(items.iter().filter_map(|i| i.as_str().map(str::to_owned)).collect()),
        Value::String(text) if text.trim_start().starts_with('[') => {
            list(serde_json::from_str(text).ok().as_ref())
        }
        Value::String(text) => {
            Some(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect())
        }
        _ => None,
    }
}

fn flag(row: &Row, name: &str) -> Option<bool> {
    match row.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(n) => n.as_i64().map(|n| n != 0),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" => Some(true),
            "false" | "f" | "0" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
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

fn object_of(value: &Value) -> Option<Row> {
    match value {
        Value::Object(object) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
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
        // An end that cannot be read must not become no end.
        let at = value.as_str().and_then(parse_v1);
        at.map(Some)
            .ok_or_else(|| ImportNote::BadTime { field: (*names.first().unwrap_or(&"a time")).to_owned() })
    };
    let mut scopes = Vec::new();
    // Those of KV alone, where it has the token: what the table says besides was never in force.
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

fn plan_routes(plan: &mut Plan, kv: &BTreeMap<String, Value>, rows: &[Row], allow_insecure: bool) {
    let about = |path: &str| rows.iter().find(|row| text(row, &["path"]) == Some(path));
    let table = match kv.get(crate::kv::ROUTES_KEY) {
        None => Value::Null,
        Some(value) => object_of(value).map_or(Value::Bool(false), Value::Object),
    };
    if table == Value::Bool(false) {
        plan.refuse("route", "routes", ImportNote::RoutesNotJson);
    }
    let parsed =
        table.as_object().and_then(|_| crate::kv::parse_routes(&table.to_string(), allow_insecure).ok());
    plan.has_route_table = parsed.is_some();
    if let Some(parsed) = parsed {
        for path in parsed.unreadable {
            plan.refuse("route", &path, ImportNote::RouteNotTaken);
        }
        for route in parsed.table.iter() {
            let mut notes = Vec::new();
            let credential = credential(&route.credential, kv, &mut notes);
            let row = about(route.path.as_str());
            let name = row.and_then(|row| text(row, &["name"])).unwrap_or(route.path.as_str());
            plan.routes.push((
                ImportedRoute {
                    id: v1::route_id(route.path.as_str()),
                    path: route.path.clone(),
                    name: name.chars().take(255).collect(),
                    description: row
                        .and_then(|row| text(row, &["description"]))
                        .map(|text| text.chars().take(500).collect()),
                    upstream: route.upstream.clone(),
                    tags: route
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

/// `Err` where there ought to be a credential and is none: the route must not be called bare.
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
        let Some(secret) = value.as_deref().and_then(v1::secret_value) else {
            notes.push(ImportNote::SecretMissing { secret: name.as_str().to_owned() }.into());
            return Err(());
        };
        secrets.push(secret);
    }
    auth.resolve(secrets).map(Some).ok_or_else(|| {
        notes.push(ImportNote::SecretNotSendable.into());
    })
}

/// Which of the calls that are alike in every field a row is, counted over the whole dump. Whoever cuts a dump into
/// parts says it, so that a call that has its like in another part is one all the same; else it is counted here.
pub const OCCURRENCE: &str = "_occurrence";

fn plan_calls(plan: &mut Plan, rows: Vec<Row>) {
    let mut bad = 0_u32;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (i, mut row) in rows.into_iter().enumerate() {
        let said = row.remove(OCCURRENCE).and_then(|value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        });
        match call(i, &row) {
            Some(mut call) => {
                let counted = seen.entry(call.event.id.clone()).or_default();
                let times = said.unwrap_or(*counted);
                *counted += 1;
                if times > 0 {
                    call.event.id = format!("{}.{times}", call.event.id);
                }
                plan.calls.push(call);
            }
            None => bad += 1,
        }
    }
    if bad > 0 {
        plan.refuse("calls", "token_usage_logs", ImportNote::BadRows { rows: bad });
    }
}

fn call(place: usize, row: &Row) -> Option<ImportedCall> {
    let number = |name: &str| match row.get(name)? {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let hash: TokenHash = text(row, &["token_hash"])?.parse().ok()?;
    let at = match row.get("timestamp").or_else(|| row.get("created_at"))? {
        Value::Number(n) => n.as_i64()?,
        Value::String(text) => parse_v1(text)?,
        _ => return None,
    };
    let status = number("response_status").filter(|n| (100.0..600.0).contains(n))?;
    let path = RequestPath::parse(text(row, &["route"])?)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above, or clamped here"
    )]
    let (status, latency_ms) =
        (status as u16, number("response_time_ms").unwrap_or(0.0).clamp(0.0, 86_400_000.0) as u32);
    let id = digest(&["call", &serde_json::to_string(row).ok()?], 43);
    Some(ImportedCall {
        row: place,
        hash,
        event: UsageEvent {
            id: format!("imp_{id}"),
            at,
            token_id: TokenId::from(""),
            team: TeamId::from(""),
            route_id: None,
            route_path: Some(path.as_str().into()),
            path: path.as_str().into(),
            method: text(row, &["request_method"]).unwrap_or("GET").to_ascii_uppercase().into(),
            status,
            outcome: Outcome::of_status(status),
            latency_ms,
            gateway_ms: 0,
            duration_ms: None,
            secret: None,
            bytes_in: None,
            bytes_out: None,
            client_ip: text(row, &["ip_address"]).map(Into::into),
            user_agent: text(row, &["user_agent"]).map(Into::into),
            country: None,
            request_id: "import".into(),
            ai: None,
        },
    })
}

#[cfg(test)]
mod tests;
