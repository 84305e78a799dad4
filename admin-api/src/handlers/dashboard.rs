//! `/api/dashboard/overview` and `/api/stats`

use crate::db::usage::{self, Whose};
use crate::db::{audit, dashboard as store, to_json};
use crate::handlers::usage::{range_of, route_usage, token_usage};
use crate::handlers::visible_teams;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::audit::AuditQuery;
use contract::dashboard::{Counts, Overview, OverviewQuery};
use contract::usage::{Figures, SpanQuery};
use domain::people::role::Action;
use domain::usage::rollup::Rollup;

const BUSIEST: u32 = 5;
const RECENT_CHANGES: u32 = 10;

/// `GET /api/stats`
pub async fn counts(call: &Call, _: Asked<()>) -> Answer<Counts> {
    let caller = call.caller()?;
    let teams = visible_teams(caller, None)?;
    respond(store::counts(&call.db()?, teams.as_deref(), call.now).await?)
}

/// `GET /api/dashboard/overview`
pub async fn overview(call: &Call, asked: Asked<OverviewQuery>) -> Answer<Overview> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let range = range_of(&SpanQuery { from: query.from, to: query.to, ..SpanQuery::default() }, call.now)?;
    let teams = visible_teams(caller, None)?;
    let db = call.db()?;
    let whose = Whose { teams: teams.as_deref(), token: None, route: None };
    let report = usage::report(&db, whose, &range.series, &range.sums, BUSIEST).await?;
    let mut total = Rollup::default();
    for line in &report.series {
        total.merge(&line.rollup);
    }
    let tokens = store::tokens(&db, teams.as_deref(), call.now).await?;
    let readable = caller.teams_for(Action::ReadAudit);
    let readable_json = readable.as_ref().map(to_json).transpose()?;
    let filter = audit::ListFilter {
        teams: readable_json.as_deref(),
        query: &AuditQuery::default(),
        from: 0,
        to: call.now + 1,
        after: None,
        limit: RECENT_CHANGES,
    };
    respond(Overview {
        from: range.from,
        to: range.to,
        counts: store::counts(&db, teams.as_deref(), call.now).await?,
        total: Figures::from(&total),
        busiest_tokens: report.tokens.into_iter().map(token_usage).collect(),
        busiest_routes: report.routes.into_iter().map(route_usage).collect(),
        tokens_created: tokens.created,
        tokens_by_team: tokens.by_team,
        expiring: tokens.expiring,
        recent_changes: audit::list(&db, &filter).await?,
    })
}
