use super::*;
use crate::time::DAY_MS;
use crate::usage::fold::{Dimension, Row, rows_of};
use crate::usage::tally::{Tallies, Tally};
use crate::usage::tests::event;
use crate::usage::{AiUsage, UsageEvent};
use proptest::prelude::*;

const DAY: UnixMs = 20_000 * DAY_MS;

fn call(team: u8, token: u8, route: u8) -> UsageEvent {
    UsageEvent {
        at: DAY + 1,
        team: format!("team-{team}").into(),
        // A token belongs to one team.
        token_id: format!("tok_{team}{token}").into(),
        route_id: (route > 0).then(|| format!("rte_{route}").into()),
        ai: (route == 1).then(|| AiUsage { model: Some("gpt 5".into()), ..AiUsage::default() }),
        ..event()
    }
}

/// The rows that the SQL would read.
fn read(rows: &[Row], ranges: &[Range]) -> Vec<ReadRow> {
    let is_in = |row: &&Row| {
        ranges.iter().any(|range| {
            (range.dimension, range.granularity) == (row.dimension.as_str(), row.granularity.as_str())
                && (range.low.as_str()..range.high.as_str()).contains(&row.key.as_str())
                && format!(" {} ", row.key).contains(&range.parts)
        })
    };
    rows.iter()
        .filter(is_in)
        .map(|row| ReadRow {
            dimension: row.dimension.as_str().to_owned(),
            interval: 0,
            key: row.key.clone(),
            rollup: row.sums.rollup.clone(),
        })
        .collect()
}

fn tally_of(events: &[UsageEvent], granularity: Granularity) -> (Tally, Tallies) {
    in_one(Tallies::of(events, DAY + 2), granularity)
}

fn in_one(buckets: Tallies, granularity: Granularity) -> (Tally, Tallies) {
    let mut tally = Tally::default();
    for (_, _, part) in buckets.into_buckets() {
        tally.merge(part);
    }
    let mut tallies = Tallies::default();
    tallies.merge(granularity, DAY, tally.clone());
    (tally, tallies)
}

proptest! {
    /// Whatever a report covers and however it is split, rows and sums that are not rows yet give the same lines.
    #[test]
    fn rows_and_tallies_agree(
        calls in proptest::collection::vec((1_u8..3, 1_u8..4, 0_u8..3), 1..40),
        teams in proptest::option::of(proptest::collection::btree_set(1_u8..3, 0..3)),
        token in proptest::option::of((1_u8..3, 1_u8..4)),
        route in proptest::option::of(1_u8..3),
        is_fine: bool,
        is_unknown: bool,
    ) {
        let events: Vec<UsageEvent> = calls.into_iter().map(|(team, token, route)| call(team, token, route)).collect();
        let granularity = if is_fine { Granularity::FiveMinutes } else { Granularity::Day };
        let (tally, tallies) = tally_of(&events, granularity);
        let rows = rows_of(granularity, DAY, &tally, &Dimension::CALLS);
        let teams = match token {
            Some(_) if is_unknown => None,
            Some((team, _)) => Some(vec![format!("team-{team}").into()]),
            None => teams.map(|teams| teams.into_iter().map(|team| format!("team-{team}").into()).collect()),
        };
        let whose = Whose {
            teams,
            token: token.map(|(team, token)| format!("tok_{team}{token}").into()),
            route: route.map(|route| format!("rte_{route}").into()),
            kind: Kind::Any,
        };
        let width_ms = granularity.width_ms();
        let spans = [Span { granularity, from: DAY, to: DAY + width_ms, offset_ms: 0, width_ms }];
        for split in [Split::Whole, Split::Token, Split::Route] {
            let [of_tallies, of_rows] = both(&whose, split, &spans, &tallies, &rows);
            prop_assert_eq!(&of_tallies, &of_rows, "{:?} {:?}", whose, split);
        }
    }

    /// Among the names of models, one is the beginning or the end of another, and one is beyond all ids.
    #[test]
    fn rows_and_tallies_of_models_agree(
        calls in proptest::collection::vec((1_u8..4, 0..NAMES.len()), 1..40),
        teams in proptest::option::of(proptest::collection::btree_set(1_u8..4, 0..3)),
        asked in proptest::option::of(0..NAMES.len()),
    ) {
        let events: Vec<UsageEvent> = calls.iter().map(|(team, name)| UsageEvent {
            ai: Some(AiUsage { model: NAMES.get(*name).map(|name| (*name).into()), ..AiUsage::default() }),
            ..call(*team, 1, 1)
        }).collect();
        let granularity = Granularity::Day;
        let (tally, tallies) = in_one(model::tallies_of(&events, DAY + 2), granularity);
        let rows = rows_of(granularity, DAY, &tally, &Dimension::MODELS);
        let is_of = |team: u8| teams.as_ref().is_none_or(|teams| teams.contains(&team));
        let counted = |line: &str| calls
            .iter()
            .filter(|(team, name)| is_of(*team) && asked.is_none_or(|asked| asked == *name) && NAMES[*name] == line)
            .count() as u64;
        let whose = Whose {
            teams: teams.as_ref().map(|teams| teams.iter().map(|team| format!("team-{team}").into()).collect()),
            kind: asked.map_or(Kind::Ai, |name| Kind::Model(NAMES[name].to_owned())),
            ..Whose::default()
        };
        let spans = [Span { granularity, from: DAY, to: DAY + DAY_MS, offset_ms: 0, width_ms: DAY_MS }];
        for split in [Split::Whole, Split::Team, Split::Model] {
            let [of_tallies, of_rows] = both(&whose, split, &spans, &tallies, &rows);
            prop_assert_eq!(&of_tallies, &of_rows, "{:?} {:?}", whose, split);
            if split == Split::Model {
                for ((_, key), sums) in &of_rows {
                    prop_assert_eq!(sums.rollup.calls, counted(&key.id), "{}", key.id);
                    let one = whose.ranges_of_lines(split, &spans, [key]);
                    let read: u64 = read(&rows, &one).iter().map(|row| row.rollup.calls).sum();
                    prop_assert_eq!(read, sums.rollup.calls, "{} alone", key.id);
                }
            }
        }
    }
}

const NAMES: [&str; 6] = ["", "gpt 5", "5", "gpt", "gpt 5 mini", "模型"];

/// The lines of sums that are not rows yet, and those of rows.
fn both(whose: &Whose, split: Split, spans: &[Span], tallies: &Tallies, rows: &[Row]) -> [Lines; 2] {
    let mut added = [Adding { lines: Lines::new(), split, spans, is_series: false }];
    add_pending(&mut added, whose, &[Sheet::from(tallies)]);
    let [Adding { lines: mut of_tallies, .. }] = added;
    for sums in of_tallies.values_mut() {
        sums.last_at = 0;
    }
    let mut of_rows = Lines::new();
    add_rows(&mut of_rows, split, read(rows, &whose.ranges_of(split, spans)));
    [of_tallies, of_rows]
}

#[test]
fn an_open_bucket_counts_in_the_span_that_contains_it() {
    let (tally, _) = tally_of(&[call(1, 1, 1)], Granularity::Hour);
    let mut tallies = Tallies::default();
    tallies.merge(Granularity::FiveMinutes, DAY, tally.clone());
    tallies.merge(Granularity::Day, DAY + DAY_MS, tally.clone());
    tallies.merge(Granularity::Week, Granularity::Week.bucket(DAY), tally);
    let span = |granularity, from, to| Span { granularity, from, to, offset_ms: 0, width_ms: DAY_MS };
    let spans =
        [span(Granularity::Hour, DAY, DAY + DAY_MS), span(Granularity::Day, DAY + DAY_MS, DAY + 2 * DAY_MS)];
    let mut added = [Adding { lines: Lines::new(), split: Split::Whole, spans: &spans, is_series: true }];
    add_pending(&mut added, &Whose::default(), &[Sheet::from(&tallies)]);
    let sums: Vec<_> = added[0].lines.iter().map(|((at, _), sums)| (*at, sums.rollup.calls)).collect();
    assert_eq!(sums, [(DAY, 1), (DAY + DAY_MS, 1)]);
}
