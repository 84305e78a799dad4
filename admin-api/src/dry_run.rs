//! A change that is tried on recorded calls and not made.
//!
//! A handler comes here once every check of the change has passed, where it would otherwise write. Nothing here holds a
//! [`domain::people::grant::Grant`], so nothing can write.

use crate::db::tokens::PublishedToken;
use crate::db::usage::calls::{Bounds, Sink, collect};
use crate::db::{Db, StoreError, limits, routes, to_json, tokens};
use crate::error::Failure;
use crate::publish::{record_of, route_table};
use crate::request::Call;
use crate::respond::{Answer, respond_tried};
use contract::dry_run::DryRun;
use contract::teams::TeamView;
use contract::tokens::TokenView;
use domain::access::path::RequestPath;
use domain::access::record::TokenRecord;
use domain::dry_run::{Calls, Change, MOST_CALLS, Policy, Subject, run};
use domain::id::{RouteId, TokenId};
use domain::kv::{RouteTableV2, RouteV2, parse_routes};
use domain::route::RouteTable;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::segment::{Search, each};
use edge::log::{Source, log};
use std::collections::HashMap;
use std::sync::Arc;
use url::Url;

/// The period that is looked at.
const SPAN_MS: i64 = 30 * DAY_MS;
/// Blocks of 300 calls that are opened: those of another route or token are in them, too. From a bucket each is one read.
const BLOCKS: usize = 1_600;
const BLOCKS_OF_BUCKET: usize = 600;
/// How long they are opened, in ms: the browser waits for ten seconds.
const READING_MS: i64 = 6_000;
/// Tokens that one query reads, and the most tokens of a dry run: their records before and after the change take some 30
/// MB. With the blocks of a bucket that is 620 of the 1,000 queries of an invocation.
const TOKENS_AT_ONCE: usize = 2_000;
const MOST_TOKENS: usize = 20_000;

impl Sink for Calls {
    fn clear(&mut self) {
        *self = Self::new(MOST_CALLS);
    }

    fn take(&mut self, bytes: &[u8], search: &Search) -> serde_json::Result<()> {
        each(bytes, search, |call| self.add(call))
    }

    fn is_full_at(&self, until: UnixMs) -> bool {
        Calls::is_full_at(self, until)
    }
}

/// Tries a change of a token.
pub async fn of_token<T>(call: &Call, db: &Db, after: &TokenView) -> Answer<T> {
    let search = Search {
        teams: Some(vec![after.team_id.clone()]),
        token: Some(after.id.clone()),
        ..Search::default()
    };
    let changed = |token: &PublishedToken| {
        Ok(PublishedToken {
            name: after.name.clone(),
            scopes: after.scopes.clone(),
            ip_allow: to_json(&after.ip_allow)?,
            limits: limits::write(&after.limits)?,
            inject_faults: after.inject_faults,
            may_derive: after.may_derive,
            expires_at: after.expires_at,
            state: after.state,
            ..token.clone()
        })
    };
    let table = Arc::new(table_of(call, &published_routes(call, db).await?)?);
    let report = report(call, db, Subject::Token, search, changed, [Arc::clone(&table), table]).await?;
    respond_tried(&report)
}

/// Tries a change of a team's bounds.
pub async fn of_team<T>(call: &Call, db: &Db, after: &TeamView) -> Answer<T> {
    let search = Search { teams: Some(vec![after.id.clone()]), ..Search::default() };
    let cap = after.scope_cap.as_ref().map(|cap| cap.iter().filter_map(|text| text.parse().ok()).collect());
    let (limits, budget) = (limits::write(&after.limits)?, limits::write(&after.budget)?);
    let zone = after.zone.as_ref().map(to_json).transpose()?;
    let changed = |token: &PublishedToken| {
        Ok(PublishedToken {
            scope_cap: cap.clone(),
            team_limits: limits.clone(),
            team_budget: budget.clone(),
            zone: zone.clone(),
            ..token.clone()
        })
    };
    let table = Arc::new(table_of(call, &published_routes(call, db).await?)?);
    let report = report(call, db, Subject::Team, search, changed, [Arc::clone(&table), table]).await?;
    respond_tried(&report)
}

/// Tries a change of a route, or its deletion. Calls that no route or a shorter one takes now may go to it afterwards.
pub async fn of_route<T>(
    call: &Call,
    db: &Db,
    before: &routes::Stored,
    after: Option<&routes::Stored>,
) -> Answer<T> {
    let published = published_routes(call, db).await?;
    let id = &before.view.id;
    let is_open = |route: &&routes::Stored| route.view.enabled;
    let mut changed = published.clone();
    changed.routes.retain(|route| route.id != *id);
    changed.routes.extend(after.filter(is_open).map(entry_of).transpose()?);
    let tables = [Arc::new(table_of(call, &published)?), Arc::new(table_of(call, &changed)?)];
    let search = Search { routes: Some(affected(before, after, &tables)), ..Search::default() };
    let unchanged = |token: &PublishedToken| Ok(token.clone());
    respond_tried(&report(call, db, Subject::Route(id.clone()), search, unchanged, tables).await?)
}

/// Returns the routes under which calls are recorded that a change may concern. '' stands for none.
fn affected(
    before: &routes::Stored,
    after: Option<&routes::Stored>,
    [table, _]: &[Arc<RouteTable>; 2],
) -> Vec<RouteId> {
    let is_open = after.is_some_and(|route| route.view.enabled);
    let mut routes = vec![before.view.id.clone()];
    if before.view.enabled != is_open {
        routes.push(RouteId::from(""));
    }
    if is_open && !before.view.enabled {
        let path = RequestPath::parse(before.view.path.as_str());
        routes.extend(path.and_then(|path| table.find(&path)).map(|shorter| shorter.rule.id.clone()));
    }
    routes
}

/// Makes the table's entry of a route. Its credential decides nothing.
fn entry_of(route: &routes::Stored) -> Result<RouteV2, StoreError> {
    let routes::Stored { view, upstream } = route;
    let value = |error: String| StoreError::Value(error);
    Ok(RouteV2 {
        id: view.id.clone(),
        path: view.path.clone(),
        url: Url::parse(&upstream.backend_url).map_err(|error| value(error.to_string()))?,
        tags: view.tags.clone(),
        methods: view
            .methods
            .iter()
            .map(|method| method.parse().map_err(|_| value(format!("method {method}"))))
            .collect::<Result<_, _>>()?,
        timeout_ms: upstream.timeout_ms,
        cors_origins: upstream.cors_origins.clone(),
        forward_cookies: upstream.forward_cookies,
        settings: upstream.settings.clone(),
        credential: None,
    })
}

async fn published_routes(call: &Call, db: &Db) -> Result<RouteTableV2, StoreError> {
    route_table(db, call.now, Source::Request(&call.request_id)).await
}

/// Reads a table as the gateway does.
fn table_of(call: &Call, table: &RouteTableV2) -> Result<RouteTable, Failure> {
    let parsed = parse_routes(&to_json(table)?, call.config.addresses);
    parsed.map(|parsed| parsed.table).map_err(|error| Failure::Internal(format!("route table: {error:?}")))
}

async fn report(
    call: &Call,
    db: &Db,
    subject: Subject,
    search: Search,
    changed: impl Fn(&PublishedToken) -> Result<PublishedToken, StoreError>,
    [before, after]: [Arc<RouteTable>; 2],
) -> Result<DryRun, Failure> {
    let from = call.now.saturating_sub(SPAN_MS).max(0);
    let search = Search { from, before: (call.now + 1, String::new()), ..search };
    let usage = db.usage(&call.env)?;
    let blocks = if usage.bucket().is_some() { BLOCKS_OF_BUCKET } else { BLOCKS };
    let mut calls = Calls::new(MOST_CALLS);
    let unread = collect(&usage, &search, &mut calls, Bounds { blocks, ms: READING_MS }).await?;
    let [was, is] = records(call, db, &calls.tokens(MOST_TOKENS), changed).await?;
    let change = Change {
        subject,
        before: Policy { table: before, tokens: was },
        after: Policy { table: after, tokens: is },
        now: call.now,
        from,
    };
    Ok(run(calls, &change, unread))
}

type Records = HashMap<TokenId, Arc<TokenRecord>>;

/// Reads tokens as the gateway has them, before and after the change. One that cannot be read is left out, as its calls
/// then are.
async fn records(
    call: &Call,
    db: &Db,
    ids: &[TokenId],
    changed: impl Fn(&PublishedToken) -> Result<PublishedToken, StoreError>,
) -> Result<[Records; 2], StoreError> {
    let mut records = [Records::new(), Records::new()];
    for ids in ids.chunks(TOKENS_AT_ONCE) {
        for (id, token) in tokens::published(db, &to_json(ids)?, call.now).await? {
            let both = token.and_then(|token| Ok([record_of(&token)?, record_of(&changed(&token)?)?]));
            match both {
                Ok(both) => {
                    for (records, record) in records.iter_mut().zip(both) {
                        records.insert(id.clone(), Arc::new(record));
                    }
                }
                Err(error) => log(Source::Request(&call.request_id), "token left out", &error.to_string()),
            }
        }
    }
    Ok(records)
}
