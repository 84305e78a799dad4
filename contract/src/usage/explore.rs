//! A report for exploring: split as asked, compared with the time before.

use super::{Figures, UsageBucket};
use domain::id::{RouteId, TeamId, TokenId};
use domain::time::UnixMs;
use domain::usage::metric::Metric;
use domain::usage::period::Period;
use domain::usage::report::ExploredLine;
use domain::usage::rollup::Rollup;
use domain::usage::span::Interval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The period, the calls and the way to split them; every field is optional. Times are unix ms or RFC 3339; the
/// default is the last 24 hours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExploreQuery {
    /// Start of the period; 24 hours before its end if absent.
    pub from: Option<String>,
    /// End of the period, exclusive; now if absent.
    pub to: Option<String>,
    /// If absent, hours for a period of up to 14 days, otherwise days.
    pub interval: Option<Interval>,
    /// Time zone of the days, such as `Asia/Taipei` (IANA); UTC if absent.
    pub tz: Option<String>,
    /// Only calls with tokens of this team.
    pub team_id: Option<TeamId>,
    /// Only calls with this token.
    pub token_id: Option<TokenId>,
    /// Only calls to this route.
    pub route_id: Option<RouteId>,
    /// Only calls of this AI model. Sums by model are kept by team, so with it there is no `token_id` and no `route_id`, and
    /// calls are split by team or model only.
    pub model: Option<String>,
    /// The way to split the calls; they are not split if absent.
    pub group_by: Option<GroupBy>,
    /// Groups have the most of this, or the most calls if it is a latency; `calls` if absent.
    pub metric: Option<Metric>,
    /// Only these groups: ids, separated by commas, at most 200. Those that were not called are absent.
    pub ids: Option<String>,
    /// The time to compare with; none if absent.
    pub compare: Option<Compare>,
    /// The most groups: 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// The first groups, of which `series` is filled: 0 to 200, default 6.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 200)))]
    pub drawn: Option<u32>,
}

/// A way to split calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// By token.
    Token,
    /// By route; calls that matched none are a group, too.
    Route,
    /// By team.
    Team,
    /// By AI model: the report covers AI calls only, without `token_id` and `route_id`.
    Model,
}

/// A time to compare with: `previous` is the one before, see [`Compared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the enum's own line says it")]
pub enum Compare {
    Previous,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explored {
    /// Start of the period, unix ms, rounded down to the start of an interval.
    pub from: UnixMs,
    /// End of the period, exclusive, unix ms.
    pub to: UnixMs,
    /// Width of the intervals.
    pub interval: Interval,
    /// The time zone of the days.
    pub tz: String,
    /// Figures of the whole period.
    pub total: Figures,
    /// Every interval, ascending, with or without calls.
    pub series: Vec<UsageBucket>,
    /// The time before; `null` if it was not asked for or is not kept.
    pub previous: Option<Compared>,
    /// Groups, those with the most first.
    pub groups: Vec<UsageGroup>,
    /// The number of all groups that were called.
    pub groups_called: usize,
}

/// The time before a period: as many intervals earlier and as long, to five minutes for the last two days, else to the hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compared {
    /// Start, unix ms.
    pub from: UnixMs,
    /// End, exclusive, unix ms.
    pub to: UnixMs,
    /// Figures of all of it.
    pub total: Figures,
    /// Its intervals, as many as the period has.
    pub series: Vec<UsageBucket>,
}

/// Calls of one token, route, team or model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageGroup {
    /// Id of the token, route or team, or name of the model; `null` for calls that matched no route, for the models after
    /// the first 50 of a team and day (UTC), and for AI calls whose model is not known.
    pub id: Option<String>,
    /// Name of the token or team, or path of the route; `null` if it is not in the database, and for models.
    pub name: Option<String>,
    /// The team of a token; otherwise `null`.
    pub team_id: Option<TeamId>,
    /// Figures of its calls in the period.
    #[serde(flatten)]
    pub figures: Figures,
    /// Figures of the time before; `null` if that was not read.
    pub previous: Option<Figures>,
    /// Every interval, ascending; empty unless it is one of the first groups.
    pub series: Vec<Point>,
}

/// Calls of one interval, in short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Point {
    /// All calls.
    pub calls: u64,
    /// Those that were let through and failed.
    pub errors: u64,
    /// Those that were denied or limited.
    pub refused: u64,
    /// Value of the metric; `null` if no call tells it.
    pub value: Option<u64>,
}

impl Point {
    /// Sums up an interval's calls.
    pub fn of(sums: &Rollup, metric: Metric) -> Self {
        let rank = |metric: Metric| metric.rank(sums.into());
        Self {
            calls: sums.calls,
            errors: rank(Metric::Errors),
            refused: rank(Metric::Refused),
            value: metric.of(sums),
        }
    }
}

/// The sums of each interval of a period, by its local time.
type Series = BTreeMap<UnixMs, Rollup>;

/// Returns every interval of a period with its figures.
pub fn buckets_of(period: &Period, series: &Series) -> Vec<UsageBucket> {
    let none = Rollup::default();
    let of = |(local, at)| UsageBucket { at, figures: series.get(&local).unwrap_or(&none).into() };
    period.intervals().into_iter().map(of).collect()
}

impl Compared {
    /// Sums up a period of a series.
    pub fn of(period: &Period, series: &Series) -> Self {
        Self {
            from: period.from,
            to: period.to,
            total: total_of(period, series),
            series: buckets_of(period, series),
        }
    }
}

/// Returns the figures of a whole period.
pub fn total_of(period: &Period, series: &Series) -> Figures {
    let mut total = Rollup::default();
    let intervals = period.intervals();
    intervals.iter().filter_map(|(local, _)| series.get(local)).for_each(|sums| total.merge(sums));
    (&total).into()
}

impl UsageGroup {
    /// Makes a group of a line; its name is known elsewhere.
    pub fn of(line: ExploredLine, name: Option<String>, is_compared: bool) -> Self {
        let ExploredLine { key, rollup, previous, .. } = line;
        Self {
            id: Some(key.id).filter(|id| !id.is_empty()),
            name,
            team_id: Some(key.team).filter(|team| !team.is_empty()).map(TeamId::from),
            figures: (&rollup).into(),
            previous: is_compared.then(|| (&previous).into()),
            series: vec![],
        }
    }

    /// Returns it with every interval of a period.
    #[must_use]
    pub fn drawn(mut self, period: &Period, series: &Series, metric: Metric) -> Self {
        let none = Rollup::default();
        let of = |(local, _)| Point::of(series.get(&local).unwrap_or(&none), metric);
        self.series = period.intervals().into_iter().map(of).collect();
        self
    }
}

/// Returns a metric's value in figures; `None` for a latency if no call has one.
pub fn value_of(metric: Metric, figures: &Figures) -> Option<u64> {
    match metric {
        Metric::Calls => Some(figures.calls),
        Metric::Errors => {
            Some(figures.client_errors + figures.upstream_errors + figures.timeouts + figures.gateway_errors)
        }
        Metric::Refused => Some(figures.denied + figures.limited),
        Metric::Cost => Some(figures.cost_micros),
        Metric::AiTokens => Some(figures.prompt_tokens + figures.completion_tokens),
        Metric::P50 => figures.p50_ms.map(u64::from),
        Metric::P95 => figures.p95_ms.map(u64::from),
        Metric::P99 => figures.p99_ms.map(u64::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_same_in_sums_and_in_figures() {
        let mut sums = Rollup::default();
        for (n, sum) in sums.sums_mut().into_iter().enumerate() {
            *sum = 1 << n;
        }
        // All calls have one of the outcomes.
        sums.calls = sums.sums().iter().skip(1).take(7).sum();
        sums.latency.add(9, 4);
        for metric in Metric::ALL {
            assert_eq!(value_of(metric, &Figures::from(&sums)), metric.of(&sums), "{metric:?}");
        }
    }
}
