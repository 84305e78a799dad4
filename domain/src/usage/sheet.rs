//! The form in which sums that are not rows yet are stored and sent: ids once, and then nothing but numbers, because
//! each report reads all of them.
//!
//! `{"ids": ["team-1", "tok_1", "rte_1"], "buckets": [["5m", 1763870400000, "0 1 2 61000 3 5 4 1 27 5\n…"]]}`.
//! A line has the places of its team, token and route among the ids, the time of its latest call since the bucket's start,
//! a mask of the sums that are not zero and these sums, the number of its latency bins, and each bin, as the distance from
//! the one before it, with its count.

use super::numbers::Numbers;
use super::span::Granularity;
use super::tally::{Caller, Sums, Tallies, Tally};
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Sums of some buckets, as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    ids: Vec<String>,
    buckets: Vec<(Granularity, UnixMs, String)>,
}

/// The sums of one bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// Its granularity.
    pub granularity: Granularity,
    /// Its start, unix ms.
    pub at: UnixMs,
    ids: &'a [String],
    lines: &'a str,
}

/// The calls that a line counts.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Places of team, token and route among the ids of the sheet.
    pub places: [usize; 3],
    /// Team id.
    pub team: &'a str,
    /// Token id.
    pub token: &'a str,
    /// Route id; empty if no route matched.
    pub route: &'a str,
}

impl Line<'_> {
    /// Returns who made the calls.
    pub fn caller(&self) -> Caller {
        Caller { team: self.team.to_owned(), token: self.token.to_owned(), route: self.route.to_owned() }
    }
}

impl Sheet {
    /// Writes the sums of one bucket.
    pub fn of_bucket(granularity: Granularity, at: UnixMs, tally: &Tally) -> Self {
        Self::written([(granularity, at, tally)])
    }

    fn written<'a>(tallies: impl IntoIterator<Item = (Granularity, UnixMs, &'a Tally)>) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut sheet = Self::default();
        for (granularity, at, tally) in tallies {
            let mut lines = String::new();
            for (Caller { team, token, route }, sums) in tally.iter() {
                for id in [team, token, route] {
                    let next = places.len();
                    let place = *places.entry(id).or_insert(next);
                    if place == next {
                        sheet.ids.push(id.clone());
                    }
                    push(&mut lines, u64::try_from(place).unwrap_or(0));
                }
                write_sums(&mut lines, at, sums);
            }
            sheet.buckets.push((granularity, at, lines));
        }
        sheet
    }

    /// Returns its buckets.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket<'_>> {
        self.buckets.iter().map(|(granularity, at, lines)| Bucket {
            granularity: *granularity,
            at: *at,
            ids: &self.ids,
            lines,
        })
    }
}

impl From<&Sheet> for Tallies {
    fn from(sheet: &Sheet) -> Self {
        let mut tallies = Self::default();
        for bucket in sheet.buckets() {
            let mut tally = Tally::default();
            bucket.each(|line, sums| tally.add(line.caller(), sums));
            tallies.merge(bucket.granularity, bucket.at, tally);
        }
        tallies
    }
}

impl From<&Tallies> for Sheet {
    fn from(tallies: &Tallies) -> Self {
        Self::written(tallies.iter())
    }
}

fn push(text: &mut String, number: u64) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{number} ");
}

fn write_sums(text: &mut String, at: UnixMs, Sums { rollup, last_at }: &Sums) {
    push(text, u64::try_from(last_at - at).unwrap_or(0));
    let sums = rollup.sums();
    let mask = sums.iter().rev().fold(0, |mask, sum| mask << 1 | u64::from(*sum > 0));
    push(text, mask);
    sums.into_iter().filter(|sum| *sum > 0).for_each(|sum| push(text, sum));
    push(text, rollup.latency.iter().map(|_| 1).sum());
    let mut before = 0;
    for (bin, count) in rollup.latency.iter() {
        push(text, u64::from(bin - before));
        push(text, count);
        before = bin;
    }
    text.pop();
    text.push('\n');
}

impl Bucket<'_> {
    /// Gives each line, and its sums, to `each`.
    pub fn each(&self, mut each: impl FnMut(&Line<'_>, &Sums)) {
        let mut numbers = Numbers::of(self.lines);
        // One for all lines: a sheet has thousands.
        let mut sums = Sums::default();
        while let Some(line) = self.line(&mut numbers, &mut sums) {
            each(&line, &sums);
        }
    }

    fn line(&self, numbers: &mut Numbers<'_>, sums: &mut Sums) -> Option<Line<'_>> {
        let mut place = || Some(usize::try_from(numbers.next()?).unwrap_or(usize::MAX));
        let places = [place()?, place()?, place()?];
        let [team, token, route] = places.map(|place| self.ids.get(place).map_or("", String::as_str));
        sums.last_at = self.at.saturating_add(i64::try_from(numbers.next()?).unwrap_or(0));
        sums.rollup.clear();
        let mut mask = numbers.next()?;
        for sum in sums.rollup.sums_mut() {
            if mask & 1 == 1 {
                *sum = numbers.next()?;
            }
            mask >>= 1;
        }
        let mut bin = 0_u32;
        for _ in 0..numbers.next()? {
            bin = bin.saturating_add(u32::try_from(numbers.next()?).unwrap_or(u32::MAX));
            sums.rollup.latency.add(bin, numbers.next()?);
        }
        Some(Line { places, team, token, route })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY_MS;
    use crate::usage::UsageEvent;
    use crate::usage::tests::event;
    use proptest::prelude::*;

    const DAY: UnixMs = 20_000 * DAY_MS;

    proptest! {
        #[test]
        fn sums_survive_being_stored(
            calls in proptest::collection::vec((0_u8..3, "[a-z \"é\\n]{0,4}", 0_u32..2_000_000, 0_i64..DAY_MS), 0..40),
        ) {
            let event = |(team, route, latency_ms, at): (u8, String, u32, i64)| UsageEvent {
                team: format!("team-{team}").into(),
                route_id: Some(route.into()),
                latency_ms,
                at: DAY + at,
                ..event()
            };
            let events: Vec<UsageEvent> = calls.into_iter().map(event).collect();
            let tallies = Tallies::of(&events, DAY + DAY_MS);
            let text = serde_json::to_string(&Sheet::from(&tallies)).unwrap();
            prop_assert_eq!(Tallies::from(&serde_json::from_str::<Sheet>(&text).unwrap()), tallies);
        }
    }

    #[test]
    fn a_line_that_breaks_off_is_left_out() {
        let text = r#"{"ids":["x","t","r"],"buckets":[["5m",0,"0 1 2 7 3 5 4 1 27 5\n0 1 2 7 3 5"]]}"#;
        let tallies = Tallies::from(&serde_json::from_str::<Sheet>(text).unwrap());
        let calls: Vec<u64> = tallies
            .iter()
            .flat_map(|(_, _, tally)| tally.iter())
            .map(|(_, sums)| sums.rollup.calls)
            .collect();
        assert_eq!(calls, [5]);
    }
}
