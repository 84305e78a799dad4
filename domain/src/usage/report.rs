//! Reports: which rows they read, and the sums made of them.
//!
//! Rows of the rollups are read by key; sums that are not rows yet ([`Sheet`]) are read line by line. Both come from
//! one transaction, so that each call is in exactly one of the two.

mod explore;
mod question;

pub use explore::{Exploration, Explored, Line as ExploredLine, Section, SplitParts};
pub use question::{
    Candidates, Counts, Parts, Pending, Question, RankRow, Reading, busiest_first, pending_of,
};

use super::fold::Dimension;
use super::model;
use super::rollup::Rollup;
use super::sheet::{Line, Sheet};
use super::span::{Granularity, Span};
use super::tally::Sums;
use crate::id::{RouteId, TeamId, TokenId};
use crate::time::UnixMs;
use serde::Serialize;
use std::collections::BTreeMap;

/// The calls that a report covers; `None` means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// Teams that called. If `token` is given, its team, if that is known.
    pub teams: Option<Vec<TeamId>>,
    /// The token that called.
    pub token: Option<TokenId>,
    /// The route that was called.
    pub route: Option<RouteId>,
    /// The kind of calls. With any but the first, `token` and `route` are not given: sums by model are kept by team.
    pub kind: Kind,
}

/// The kind of calls that a report covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// All calls.
    #[default]
    Any,
    /// AI calls.
    Ai,
    /// Calls of this model; '' stands for those that are counted together ([`model::OTHER`]).
    Model(String),
}

/// The things that a report has a line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// One line in all.
    Whole,
    /// One line for each token.
    Token,
    /// One line for each route.
    Route,
    /// One line for each team.
    Team,
    /// One line for each AI model.
    Model,
}

/// A range of keys to read, as the SQL takes it: from `low` up to, but not including, `high`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Granularity of the rows.
    pub granularity: &'static str,
    /// Dimension of the rows.
    pub dimension: &'static str,
    /// The lowest key.
    pub low: String,
    /// The first key that is too high.
    pub high: String,
    /// Parts that keys must have beyond that, with spaces around them; '' for none.
    pub parts: String,
}

/// A bucket to read, as the SQL takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Granularity of the rows.
    pub granularity: &'static str,
    /// Start, unix ms.
    pub at: UnixMs,
    /// The interval that its rows are added up in, in the zone's local time.
    pub interval: UnixMs,
}

/// Returns the buckets of some spans. `is_series` keeps intervals apart; otherwise all are 0.
pub fn buckets(spans: &[Span], is_series: bool) -> Vec<Bucket> {
    let of = |span: &Span| {
        let granularity = span.granularity.as_str();
        let interval = span.clone();
        span.buckets().map(move |at| Bucket {
            granularity,
            at,
            interval: if is_series { interval.interval(at) } else { 0 },
        })
    };
    spans.iter().flat_map(of).collect()
}

/// Above every character of an id, and of a model's name.
const LAST: &str = "\u{10ffff}";

impl Whose {
    /// Returns the dimension that has a row for each line, and how many parts of its key are given.
    fn dimension(&self, split: Split, granularity: Granularity) -> Dimension {
        if self.kind != Kind::Any {
            let is_by_team = self.teams.is_some() || split == Split::Team;
            return if is_by_team { Dimension::TeamModel } else { Dimension::Model };
        }
        let dimension = match (split, &self.teams, &self.token, &self.route) {
            (Split::Whole, None, None, None) => Dimension::All,
            (Split::Whole, Some(_), None, None) | (Split::Team, _, None, None) => Dimension::Team,
            (Split::Whole | Split::Team, _, Some(_), None) | (Split::Token, _, _, None) => Dimension::Token,
            (_, _, Some(_), Some(_)) | (Split::Route | Split::Model, _, Some(_), None) => {
                Dimension::TokenRoute
            }
            (Split::Whole | Split::Route | Split::Model, None, None, _) => Dimension::Route,
            (Split::Whole | Split::Route | Split::Model, Some(_), None, _)
            | (Split::Team, _, None, Some(_)) => Dimension::TeamRoute,
            (Split::Token, _, None, Some(_)) => Dimension::RouteToken,
        };
        if dimension.has_rows(granularity) { dimension } else { Dimension::TokenRoute }
    }

    /// Returns the ranges of keys that hold the lines of `split`.
    pub fn ranges(&self, split: Split, granularity: Granularity) -> Vec<Range> {
        let dimension = self.dimension(split, granularity);
        let teams: Vec<Option<&str>> = match &self.teams {
            Some(teams) => teams.iter().map(|team| Some(team.as_str())).collect(),
            None => vec![None],
        };
        let (token, route) =
            (self.token.as_ref().map(TokenId::as_str), self.route.as_ref().map(RouteId::as_str));
        let model: Option<String> = match &self.kind {
            Kind::Model(model) => Some(model::part_of(model).collect()),
            Kind::Any | Kind::Ai => None,
        };
        let model = model.as_deref();
        let range = |team: Option<&str>| {
            let parts = match dimension {
                Dimension::All => vec![],
                Dimension::Team => vec![team],
                Dimension::Token => vec![team, token],
                Dimension::Route => vec![route],
                Dimension::TeamRoute => vec![team, route],
                Dimension::TokenRoute => vec![team, token, route],
                Dimension::RouteToken => vec![route, team, token],
                Dimension::Model => vec![model],
                Dimension::TeamModel => vec![team, model],
            };
            let given: Vec<&str> = parts.iter().map_while(|part| *part).collect();
            let is_exact = given.len() == parts.len();
            let prefix = given.join(" ");
            let (low, high) = match (is_exact, given.is_empty()) {
                (true, _) => (prefix.clone(), format!("{prefix}\u{1}")),
                (false, true) => (String::new(), LAST.to_owned()),
                (false, false) => (format!("{prefix} "), format!("{prefix}!")),
            };
            // A part behind one that is open: the token of a team that is not known, or the route of all tokens.
            let behind: Vec<&str> = parts.iter().skip(given.len()).filter_map(|part| *part).collect();
            let parts = if behind.is_empty() { String::new() } else { format!(" {} ", behind.join(" ")) };
            Range { granularity: granularity.as_str(), dimension: dimension.as_str(), low, high, parts }
        };
        teams.into_iter().map(range).collect()
    }

    /// Returns the ranges of all granularities that some spans have.
    pub fn ranges_of(&self, split: Split, spans: &[Span]) -> Vec<Range> {
        let read = |granularity: &Granularity| spans.iter().any(|span| span.granularity == *granularity);
        Granularity::ALL
            .into_iter()
            .filter(read)
            .flat_map(|granularity| self.ranges(split, granularity))
            .collect()
    }

    /// Returns whether the report covers a line.
    pub fn covers(&self, line: &Line<'_>) -> bool {
        self.teams.as_ref().is_none_or(|teams| teams.iter().any(|team| team.as_str() == line.team))
            && self.token.as_ref().is_none_or(|token| token.as_str() == line.token)
            && self.route.as_ref().is_none_or(|route| route.as_str() == line.route)
            && match &self.kind {
                Kind::Any | Kind::Ai => true,
                Kind::Model(model) => model::part_of(model).eq(line.route.chars()),
            }
    }
}

/// The line of a split that a key of a dimension belongs to: its team, if the key says it, and the token or route.
pub fn line_of(dimension: &str, split: Split, key: &str) -> LineKey {
    let parts: Vec<&str> = key.split(' ').collect();
    let (team, token, route) = match (dimension, parts.as_slice()) {
        ("team", [team]) => (*team, "", ""),
        ("token", [team, token]) => (*team, *token, ""),
        ("route" | "model", [route]) => ("", "", *route),
        ("team-route" | "team-model", [team, route]) => (*team, "", *route),
        ("token-route", [team, token, route]) | ("route-token", [route, team, token]) => {
            (*team, *token, *route)
        }
        _ => ("", "", ""),
    };
    LineKey::of(split, team, token, route)
}

/// The thing that a line is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// Id of a token, route or team, or name of a model; empty for the whole, for calls that matched no route, and for
    /// [`model::OTHER`].
    pub id: String,
    /// Team of a token.
    pub team: String,
}

impl LineKey {
    fn of(split: Split, team: &str, token: &str, route: &str) -> Self {
        match split {
            Split::Whole => Self::default(),
            Split::Token => Self { id: token.to_owned(), team: team.to_owned() },
            Split::Route => Self { id: route.to_owned(), team: String::new() },
            Split::Team => Self { id: team.to_owned(), team: String::new() },
            Split::Model => Self { id: model::name_of(route), team: String::new() },
        }
    }
}

/// Lines of a report: sums by interval and by what they stand for.
pub type Lines = BTreeMap<(UnixMs, LineKey), Sums>;

/// Returns the interval of a bucket, in the zone's local time; `None` if no span reads the bucket.
pub fn interval_of(spans: &[Span], granularity: Granularity, bucket: UnixMs) -> Option<UnixMs> {
    let reads = |span: &&Span| span.granularity == granularity && (span.from..span.to).contains(&bucket);
    spans.iter().find(reads).map(|span| span.interval(bucket))
}

/// One of the things that sums which are not rows yet are added up for.
#[derive(Debug)]
pub struct Adding<'a> {
    /// The lines that they are added to.
    pub lines: Lines,
    /// The things that the report has a line for.
    pub split: Split,
    /// The buckets that it covers.
    pub spans: &'a [Span],
    /// Whether intervals are kept apart; otherwise all are 0.
    pub is_series: bool,
}

impl Adding<'_> {
    /// Returns the interval that a bucket of sums that are not rows yet is added to, if it counts.
    fn interval(&self, granularity: Granularity, at: UnixMs) -> Option<UnixMs> {
        // A bucket counts in one span: that of its own granularity or a coarser one.
        let interval = Granularity::ALL
            .into_iter()
            .filter(|coarser| *coarser >= granularity)
            .find_map(|granularity| interval_of(self.spans, granularity, granularity.bucket(at)))?;
        Some(if self.is_series { interval } else { 0 })
    }
}

/// Adds sums that are not rows yet. They are read once for all, since that is the greater part of a report's work.
pub fn add_pending(to: &mut [Adding<'_>], whose: &Whose, pending: &[Sheet]) {
    for bucket in pending.iter().flat_map(Sheet::buckets) {
        // By their places first: comparing ids for each of thousands of lines would take longer than reading them.
        let mut by_place: Vec<_> = to
            .iter_mut()
            .filter_map(|adding| {
                let interval = adding.interval(bucket.granularity, bucket.at)?;
                Some((adding, interval, BTreeMap::<[usize; 2], (LineKey, Sums)>::new()))
            })
            .collect();
        if by_place.is_empty() {
            continue;
        }
        bucket.each(|line, sums| {
            if !whose.covers(line) {
                return;
            }
            let [team, token, route] = line.places;
            for (adding, _, sums_of) in &mut by_place {
                let place = match adding.split {
                    Split::Whole => [0, 0],
                    Split::Token => [team, token],
                    Split::Route | Split::Model => [0, route],
                    Split::Team => [team, 0],
                };
                let key = || LineKey::of(adding.split, line.team, line.token, line.route);
                sums_of.entry(place).or_insert_with(|| (key(), Sums::default())).1.merge(sums);
            }
        });
        for (adding, interval, sums_of) in by_place {
            for (key, sums) in sums_of.into_values() {
                adding.lines.entry((interval, key)).or_default().merge(&sums);
            }
        }
    }
}

/// Rows of one key and interval, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadRow {
    /// Dimension.
    pub dimension: String,
    /// Key.
    pub key: String,
    /// Interval, in the zone's local time; 0 in sums over all of a time.
    pub interval: UnixMs,
    /// Sums.
    pub rollup: Rollup,
}

/// Adds rows: those of a series are [`Split::Whole`].
pub fn add_rows(lines: &mut Lines, split: Split, rows: Vec<ReadRow>) {
    for row in rows {
        let key = line_of(&row.dimension, split, &row.key);
        lines.entry((row.interval, key)).or_default().merge(&Sums { rollup: row.rollup, last_at: 0 });
    }
}

#[cfg(test)]
mod tests;
