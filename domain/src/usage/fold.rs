//! The fold: adds what has arrived to the buckets that are not over, and turns those that are into rows.
//!
//! A call is always in exactly one place below each granularity: in the inbox, in an open bucket, or in rows. A
//! bucket that is over becomes rows and is added to the bucket that contains it, which becomes rows later. So rows are
//! written once for each bucket, not once for each fold. A call that arrives after its bucket was closed is added to
//! the bucket's rows.

use super::span::Granularity;
use super::tally::{Caller, Sums, Tallies, Tally};
use crate::time::UnixMs;
use std::collections::BTreeMap;

/// How long five minutes stay open after their end, because calls arrive some seconds late.
const GRACE_MS: i64 = 30_000;
/// How much longer a coarser bucket stays open than the next finer one: at midnight each closes in another fold, as
/// an isolate has little memory.
const STAGGER_MS: i64 = 60_000;

/// The calls that a row of the rollups sums up. The names and the parts of a key are those of the table `rollups`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// All calls.
    All,
    /// Calls of a team.
    Team,
    /// Calls of a token, found by team.
    Token,
    /// Calls to a route.
    Route,
    /// Calls of a team to a route, found by team.
    TeamRoute,
    /// Calls of a token to a route, found by token.
    TokenRoute,
    /// Calls of a token to a route, found by route. Five minutes have no such rows: they would be half of all that is
    /// written.
    RouteToken,
    /// Calls of an AI model.
    Model,
    /// Calls of a team to an AI model, found by team.
    TeamModel,
}

impl Dimension {
    /// Those of sums of all calls.
    pub const CALLS: [Self; 7] = [
        Self::All,
        Self::Team,
        Self::Token,
        Self::Route,
        Self::TeamRoute,
        Self::TokenRoute,
        Self::RouteToken,
    ];
    /// Those of sums by model ([`super::model`]).
    pub const MODELS: [Self; 2] = [Self::Model, Self::TeamModel];

    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Team => "team",
            Self::Token => "token",
            Self::Route => "route",
            Self::TeamRoute => "team-route",
            Self::TokenRoute => "token-route",
            Self::RouteToken => "route-token",
            Self::Model => "model",
            Self::TeamModel => "team-model",
        }
    }

    /// Returns the key that these calls are counted under.
    fn key(self, Caller { team, token, route }: &Caller) -> String {
        match self {
            Self::All => String::new(),
            Self::Team => team.clone(),
            Self::Token => format!("{team} {token}"),
            Self::Route | Self::Model => route.clone(),
            Self::TeamRoute | Self::TeamModel => format!("{team} {route}"),
            Self::TokenRoute => format!("{team} {token} {route}"),
            Self::RouteToken => format!("{route} {team} {token}"),
        }
    }

    /// Returns whether this dimension has rows of a granularity.
    pub fn has_rows(self, granularity: Granularity) -> bool {
        self != Self::RouteToken || granularity != Granularity::FiveMinutes
    }
}

/// A row to be added to the rollups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which calls it sums up.
    pub dimension: Dimension,
    /// Width of its bucket.
    pub granularity: Granularity,
    /// Start of its bucket, unix ms.
    pub bucket: UnixMs,
    /// The parts of the dimension, separated by a space.
    pub key: String,
    /// The sums.
    pub sums: Sums,
}

/// Returns the rows of a bucket, in some dimensions.
pub fn rows_of(
    granularity: Granularity,
    bucket: UnixMs,
    tally: &Tally,
    dimensions: &[Dimension],
) -> Vec<Row> {
    let mut rows: BTreeMap<(Dimension, String), Sums> = BTreeMap::new();
    for dimension in dimensions.iter().filter(|dimension| dimension.has_rows(granularity)) {
        for (caller, sums) in tally.iter() {
            rows.entry((*dimension, dimension.key(caller))).or_default().merge(sums);
        }
    }
    let row = |((dimension, key), sums)| Row { dimension, granularity, bucket, key, sums };
    rows.into_iter().map(row).collect()
}

/// Folds what has arrived into the open buckets. Returns the rows, in some dimensions, that are to be added to the rollups.
pub fn fold(open: &mut Tallies, arrived: Tallies, now: UnixMs, dimensions: &[Dimension]) -> Vec<Row> {
    let mut to = Folding { open, now, dimensions, rows: Vec::new() };
    for (granularity, bucket, tally) in arrived.into_buckets() {
        to.add(granularity, bucket, tally);
    }
    // The finest first: what they add to is closed after them.
    for granularity in Granularity::ALL {
        let over: Vec<UnixMs> = to
            .open
            .iter()
            .filter(|(g, bucket, _)| *g == granularity && is_over(*g, *bucket, now))
            .map(|(_, bucket, _)| bucket)
            .collect();
        for bucket in over {
            if let Some(tally) = to.open.remove(granularity, bucket) {
                to.close(granularity, bucket, tally);
            }
        }
    }
    to.rows
}

fn is_over(granularity: Granularity, bucket: UnixMs, now: UnixMs) -> bool {
    let finer = Granularity::ALL.into_iter().filter(|finer| *finer < granularity);
    bucket + granularity.width_ms() + GRACE_MS + finer.map(|_| STAGGER_MS).sum::<i64>() <= now
}

/// A fold at work.
struct Folding<'a> {
    open: &'a mut Tallies,
    now: UnixMs,
    dimensions: &'a [Dimension],
    rows: Vec<Row>,
}

impl Folding<'_> {
    /// Adds calls to their bucket: to its sums while it is open, otherwise to its rows.
    fn add(&mut self, granularity: Granularity, at: UnixMs, tally: Tally) {
        let bucket = granularity.bucket(at);
        if self.open.contains(granularity, bucket) || !is_over(granularity, bucket, self.now) {
            self.open.merge(granularity, bucket, tally);
        } else {
            self.close(granularity, bucket, tally);
        }
    }

    fn close(&mut self, granularity: Granularity, bucket: UnixMs, tally: Tally) {
        if granularity.is_kept(bucket, self.now) {
            self.rows.extend(rows_of(granularity, bucket, &tally, self.dimensions));
        }
        if let Some(coarser) = granularity.coarser() {
            self.add(coarser, bucket, tally);
        }
    }
}

/// Returns how many refused calls of a token in the hour that begins at `hour` (unix ms) the open buckets count.
pub fn refused(open: &Tallies, token: &str, hour: UnixMs) -> u64 {
    open.iter()
        .filter(|(granularity, bucket, _)| {
            *granularity <= Granularity::Hour && Granularity::Hour.bucket(*bucket) == hour
        })
        .flat_map(|(_, _, tally)| tally.iter())
        .filter(|(caller, _)| caller.token == token)
        .map(|(_, sums)| sums.rollup.denied.saturating_add(sums.rollup.limited))
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
