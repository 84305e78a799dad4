//! `/api/dashboard` and `/api/stats`

mod home;

pub use home::home;

use crate::db::usage::report::report;
use crate::db::{audit, dashboard as store, to_json};
use crate::handlers::usage::period_of;
use crate::handlers::visible_team_ids;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::audit::AuditQuery;
use contract::dashboard::{Counts, Overview, OverviewQuery};
use contract::usage::{Figures, SpanQuery};
use domain::people::role::Action;
use domain::usage::report::{Question, Whose};

const BUSIEST: usize = 5;
const RECENT_CHANGES: u32 = 10;

/// `GET /api/stats`
pub async fn counts(call: &Call, _: Asked<()>) -> Answer<Counts> {
    let caller = call.caller()?;
    let teams = visible_team_ids(caller, None);
    let db = call.db()?;
    respond(store::counts(&db, &db.usage(&call.env)?, teams.as_deref(), call.now).await?)
}

/// `GET /api/dashboard/overview`
pub async fn overview(call: &Call, asked: Asked<OverviewQuery>) -> Answer<Overview> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let period = period_of(&SpanQuery { from: query.from, to: query.to, ..SpanQuery::default() }, call.now)?;
    let whose = Whose { teams: visible_team_ids(caller, None), ..Whose::default() };
    let db = call.db()?;
    let usage = db.usage(&call.env)?;
    let question = Question { whose: &whose, series: &period.series, sums: &period.sums };
    let report = report(&db, &usage, question, BUSIEST).await?;
    let teams = whose.teams.as_ref().map(to_json).transpose()?;
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
        from: period.from,
        to: period.to,
        counts: store::counts(&db, &usage, whose.teams.as_deref(), call.now).await?,
        total: Figures::from(&report.total()),
        busiest_tokens: report.tokens,
        busiest_routes: report.routes,
        tokens_created: tokens.created,
        tokens_by_team: tokens.by_team,
        expiring: tokens.expiring,
        recent_changes: audit::list(&db, &filter).await?,
    })
}
