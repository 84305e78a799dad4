//! Sums of calls by who called what, before they become rows.
//!
//! A batch of the queue and the buckets that are not over are kept in this form: one line for each token and route, of
//! which every dimension of the reports can be made, but those of models: [`model`](super::model). `sheet` has the form in
//! which they are stored.

use super::UsageEvent;
use super::rollup::Rollup;
use super::span::Granularity;
use crate::time::UnixMs;
use std::collections::BTreeMap;

/// The calls that one line counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// Team id.
    pub team: String,
    /// Token id.
    pub token: String,
    /// Route id; empty if no route matched.
    pub route: String,
}

impl Caller {
    /// Returns who made a call, and of what.
    pub fn of(event: &UsageEvent) -> Self {
        Self {
            team: event.team.to_string(),
            token: event.token_id.to_string(),
            route: event.route_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

/// Sums, and the time of the latest call in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The sums.
    pub rollup: Rollup,
    /// Unix ms.
    pub last_at: UnixMs,
}

impl Sums {
    /// Adds other sums.
    pub fn merge(&mut self, other: &Self) {
        self.rollup.merge(&other.rollup);
        self.last_at = self.last_at.max(other.last_at);
    }
}

/// The calls of one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Caller, Sums>);

impl Tally {
    /// Adds the calls of a line.
    pub fn add(&mut self, caller: Caller, sums: &Sums) {
        self.0.entry(caller).or_default().merge(sums);
    }

    /// Adds the calls of another tally.
    pub fn merge(&mut self, other: Self) {
        for (caller, sums) in other.0 {
            self.add(caller, &sums);
        }
    }

    /// Returns its lines.
    pub fn iter(&self) -> impl Iterator<Item = (&Caller, &Sums)> {
        self.0.iter()
    }

    /// Returns the number of lines.
    pub fn lines(&self) -> usize {
        self.0.len()
    }

    /// Cuts the tally into parts of at most `lines` lines, at least one part.
    pub fn parts(self, lines: usize) -> Vec<Self> {
        let mut parts = vec![Self::default()];
        for (caller, sums) in self.0 {
            if parts.last().is_none_or(|part| part.0.len() >= lines) {
                parts.push(Self::default());
            }
            if let Some(part) = parts.last_mut() {
                part.0.insert(caller, sums);
            }
        }
        parts
    }
}

/// Tallies by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<(Granularity, UnixMs), Tally>);

impl Tallies {
    /// Counts calls, each in the finest bucket that is still kept at `now`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a UsageEvent>, now: UnixMs) -> Self {
        Self::by(events, now, |event| Some(Caller::of(event)))
    }

    /// Counts the calls for which `caller` names a line.
    pub fn by<'a>(
        events: impl IntoIterator<Item = &'a UsageEvent>,
        now: UnixMs,
        caller: fn(&UsageEvent) -> Option<Caller>,
    ) -> Self {
        let mut tallies = Self::default();
        for event in events {
            let Some(caller) = caller(event) else { continue };
            let granularity = Granularity::finest_kept(event.at, now);
            let tally = tallies.0.entry((granularity, granularity.bucket(event.at))).or_default();
            let sums = tally.0.entry(caller).or_default();
            sums.rollup.count(event);
            sums.last_at = sums.last_at.max(event.at);
        }
        tallies
    }

    /// Adds a bucket's calls.
    pub fn merge(&mut self, granularity: Granularity, bucket: UnixMs, tally: Tally) {
        self.0.entry((granularity, bucket)).or_default().merge(tally);
    }

    /// Adds the calls of other tallies.
    pub fn extend(&mut self, other: Self) {
        for ((granularity, bucket), tally) in other.0 {
            self.merge(granularity, bucket, tally);
        }
    }

    /// Returns its buckets and their tallies, the finest first.
    pub fn iter(&self) -> impl Iterator<Item = (Granularity, UnixMs, &Tally)> {
        self.0.iter().map(|((granularity, bucket), tally)| (*granularity, *bucket, tally))
    }

    /// Returns its buckets and their tallies, the finest first.
    pub fn into_buckets(self) -> impl Iterator<Item = (Granularity, UnixMs, Tally)> {
        self.0.into_iter().map(|((granularity, bucket), tally)| (granularity, bucket, tally))
    }

    /// Returns whether the bucket is among them.
    pub fn contains(&self, granularity: Granularity, bucket: UnixMs) -> bool {
        self.0.contains_key(&(granularity, bucket))
    }

    /// Returns whether no calls are counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a bucket out.
    pub fn remove(&mut self, granularity: Granularity, bucket: UnixMs) -> Option<Tally> {
        self.0.remove(&(granularity, bucket))
    }
}
