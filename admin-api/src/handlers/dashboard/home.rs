//! `GET /api/dashboard/home`

use crate::db::usage::report::{self as usage_store, Chosen, explore};
use crate::db::{Db, audit, dashboard as store, to_json, upkeep};
use crate::error::Failure;
use crate::handlers::usage::{groups_of, named};
use crate::handlers::visible_team_ids;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use crate::zone::Zone;
use contract::audit::{AuditEntry, AuditQuery, AuditResult};
use contract::dashboard::{BudgetUse, Home, HomeQuery, Month};
use contract::upkeep::{Notification, NotificationKind};
use contract::usage::{Compared, UsageGroup, buckets_of, total_of};
use domain::id::{TeamId, TokenId};
use domain::limit::calendar::{Bounded, Group, Near, near, projected};
use domain::people::role::{Action, Caller};
use domain::problem::Invalid;
use domain::time::{HOUR_MS, UnixMs, bucket_start};
use domain::usage::metric::Metric;
use domain::usage::period::{Period, month_of};
use domain::usage::report::{Candidates, Exploration, LineKey, Section, Split, Whose};
use domain::usage::span::{Interval, sum_spans};

const HOURS: i64 = 24;
/// Tokens shown, and routes.
const MOST: usize = 5;
const MOST_BUDGETS: usize = 20;
const MOST_NOTICES: u32 = 50;
const MOST_CHANGES: u32 = 30;

/// `GET /api/dashboard/home`, for the teams that the caller may see.
pub async fn home(call: &Call, asked: Asked<HomeQuery>) -> Answer<Home> {
    let caller = call.caller()?;
    let zone = asked.read(call)?.tz;
    let zone =
        Zone::named(zone.as_deref().unwrap_or("UTC")).ok_or_else(|| Failure::field("tz", Invalid::Zone))?;
    let now = call.now;
    let db = call.db()?;
    let whose = Whose { teams: visible_team_ids(caller, None), ..Whose::default() };
    let teams = whose.teams.as_ref().map(to_json).transpose()?;
    let kept = store::kept(&db, teams.as_deref(), now).await?;
    let (names, bounded): (Vec<String>, Vec<Bounded>) = kept.bounded.into_iter().unzip();
    let groups = Group::all(&bounded);
    let (from, to) = month_of(now, |at| zone.offset_at(at));
    let mut sections: Vec<Section> = groups.iter().map(|group| group.section(now)).collect();
    sections.push(Section {
        split: Split::Whole,
        spans: sum_spans(from, now, Interval::Day, now),
        keys: None,
    });
    let period = last_hours(now)?;
    let previous = period.previous(now, |_| 0);
    let asked = Exploration {
        whose: &whose,
        period: &period,
        previous: previous.as_ref(),
        splits: &[Split::Token, Split::Route],
        sections: &sections,
    };
    let by = |metric| Chosen { metric, most: MOST, ..Chosen::default() };
    let chosen = [by(Metric::Cost), by(Metric::Errors)];
    let mut found = explore(&db.usage(&call.env)?, asked, &chosen).await?;
    let spent = found.sections.pop().map_or(0, |whole| whole.counts(&LineKey::default()).cost_micros);
    let is_compared = previous.is_some();
    let mut shown = found
        .splits
        .into_iter()
        .zip(chosen)
        .map(|((lines, _), chosen)| groups_of(lines, &period, chosen.metric, 0, is_compared));
    let [spenders, failing] = [shown.next(), shown.next()].map(Option::unwrap_or_default);
    let [spenders, failing] = with_names(&db, spenders, failing).await?;
    respond(Home {
        from: period.from,
        to: period.to,
        total: total_of(&period, &found.series),
        series: buckets_of(&period, &found.series),
        previous: previous.map(|previous| Compared::of(&previous, &found.series)),
        month: Month { from, to, cost_micros: spent, projected_micros: projected(spent, from, now, to) },
        spenders,
        failing,
        budgets: budgets(&names, &bounded, &groups, &found.sections, now),
        expiring: kept.expiring,
        notices: notices(&db, caller, teams.as_deref(), now).await?,
        changes: changes(&db, caller, now).await?,
        tokens: kept.tokens,
        routes: kept.routes,
    })
}

/// Returns the last hours, the last of which is not over.
fn last_hours(now: UnixMs) -> Result<Period, Failure> {
    let from = bucket_start(now, HOUR_MS) - (HOURS - 1) * HOUR_MS;
    Period::of(Some(from), Some(now), Some(Interval::Hour), now, |_| 0)
        .map_err(|_| Failure::field("tz", Invalid::Zone))
}

/// Names both lists, and leaves out routes without errors.
async fn with_names(
    db: &Db,
    spenders: Vec<UsageGroup>,
    failing: Vec<UsageGroup>,
) -> Result<[Vec<UsageGroup>; 2], Failure> {
    let ids = |groups: &[UsageGroup]| groups.iter().filter_map(|group| group.id.clone()).collect();
    let names = usage_store::names(db, [ids(&spenders), ids(&failing), vec![]]).await?;
    let has_errors = |group: &UsageGroup| contract::usage::value_of(Metric::Errors, &group.figures) > Some(0);
    let failing = failing.into_iter().filter(has_errors).collect();
    Ok([named(&names, spenders), named(&names, failing)])
}

/// Returns the limits that are near, with names.
fn budgets(
    names: &[String],
    bounded: &[Bounded],
    groups: &[Group],
    counted: &[Candidates],
    now: UnixMs,
) -> Vec<BudgetUse> {
    let found = near(bounded, groups, counted, now);
    let of = |Near { place, kind, used, most, resets_at }: Near| {
        let Bounded { split, key, .. } = bounded.get(place)?;
        let is_token = *split == Split::Token;
        Some(BudgetUse {
            token_id: is_token.then(|| TokenId::from(key.id.as_str())),
            team_id: TeamId::from(if is_token { key.team.as_str() } else { key.id.as_str() }),
            name: names.get(place)?.clone(),
            kind,
            used,
            most,
            resets_at,
        })
    };
    found.into_iter().filter_map(of).take(MOST_BUDGETS).collect()
}

/// Reads the notifications; tokens that expire and limits that are near have lists of their own.
async fn notices(
    db: &Db,
    caller: &Caller,
    teams: Option<&str>,
    now: UnixMs,
) -> Result<Vec<Notification>, Failure> {
    let is_elsewhere = |kind: &NotificationKind| {
        matches!(kind, NotificationKind::TokenExpiring | NotificationKind::BudgetUsed)
    };
    let kinds: Vec<NotificationKind> =
        NotificationKind::ALL.into_iter().filter(|kind| !is_elsewhere(kind)).collect();
    let platform = caller.core_role().is_some();
    let seen = upkeep::Seen { teams, platform, by: &caller.user, now, kinds: &kinds };
    Ok(upkeep::notifications(db, seen, None, MOST_NOTICES).await?)
}

/// Reads the newest changes.
async fn changes(db: &Db, caller: &Caller, now: UnixMs) -> Result<Vec<AuditEntry>, Failure> {
    let readable = caller.teams_for(Action::ReadAudit).as_ref().map(to_json).transpose()?;
    let query = AuditQuery { result: Some(AuditResult::Done), ..AuditQuery::default() };
    let filter = audit::ListFilter {
        teams: readable.as_deref(),
        query: &query,
        from: 0,
        to: now + 1,
        after: None,
        limit: MOST_CHANGES,
    };
    Ok(audit::list(db, &filter).await?)
}
