//! Sums by AI model: which models each team called.
//!
//! They have the form of all other sums and are kept apart from them, so that a call of no AI costs nothing, and a version
//! that does not know them leaves them as they are. A line of theirs has a team, no token, and the model in the place of the
//! route. A team and day has at most [`MAX_MODELS`] models; the calls of all others count as [`OTHER`], so no client can
//! fill the database with names.

use super::UsageEvent;
use super::span::Granularity;
use super::tally::{Caller, Tallies, Tally};
use crate::time::UnixMs;
use std::collections::{BTreeMap, BTreeSet};

/// Models of a team and day (UTC) that have sums of their own.
pub const MAX_MODELS: usize = 50;
/// The model under which the calls of all further models are counted, and those whose model is not known.
pub const OTHER: &str = "";
/// Stands for a space in the parts of a key, which spaces separate.
const SPACE: char = '\u{a0}';

/// Returns a model's name as the part of a key.
pub fn part_of(model: &str) -> impl Iterator<Item = char> {
    model.chars().map(|c| if c.is_whitespace() || c.is_control() { SPACE } else { c })
}

/// Returns the model that a part of a key names.
pub fn name_of(part: &str) -> String {
    part.replace(SPACE, " ")
}

/// Returns who made a call, and of which model; `None` for a call of no AI.
fn caller_of(event: &UsageEvent) -> Option<Caller> {
    let model = event.ai.as_ref()?.model.as_deref().unwrap_or(OTHER);
    Some(Caller { team: event.team.to_string(), token: String::new(), route: part_of(model).collect() })
}

/// Counts AI calls by team and model, at most [`MAX_MODELS`] of each team and day.
pub fn tallies_of<'a>(events: impl IntoIterator<Item = &'a UsageEvent>, now: UnixMs) -> Tallies {
    bounded(Tallies::by(events, now, caller_of), &Tallies::default())
}

/// Counts the calls of models beyond the [`MAX_MODELS`] of a team and day as [`OTHER`]. The models of the `open` buckets
/// were first, so they stay.
pub fn bounded(arrived: Tallies, open: &Tallies) -> Tallies {
    let day = |bucket| Granularity::Day.bucket(bucket);
    let mut known: BTreeMap<(UnixMs, String), BTreeSet<String>> = BTreeMap::new();
    for (_, bucket, tally) in open.iter().filter(|(granularity, ..)| *granularity <= Granularity::Day) {
        for (Caller { team, route, .. }, _) in tally.iter().filter(|(caller, _)| caller.route != OTHER) {
            known.entry((day(bucket), team.clone())).or_default().insert(route.clone());
        }
    }
    let mut bounded = Tallies::default();
    for (granularity, bucket, tally) in arrived.into_buckets() {
        let mut kept = Tally::default();
        for (caller, sums) in tally.iter() {
            let mut caller = caller.clone();
            let models = known.entry((day(bucket), caller.team.clone())).or_default();
            let is_new = caller.route != OTHER && !models.contains(&caller.route);
            if is_new && models.len() < MAX_MODELS {
                models.insert(caller.route.clone());
            } else if is_new {
                caller.route.clear();
            }
            kept.add(caller, sums);
        }
        bounded.merge(granularity, bucket, kept);
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS};
    use crate::usage::fold::{Dimension, Row, fold};
    use crate::usage::rollup::Rollup;
    use crate::usage::sheet::Sheet;
    use crate::usage::tests::event;
    use crate::usage::{AiUsage, MAX_MODEL_LEN};
    use proptest::prelude::*;

    const START: UnixMs = 20_000 * DAY_MS;

    fn call(team: u8, model: Option<&str>, at: UnixMs) -> UsageEvent {
        UsageEvent { team: format!("team-{team}").into(), at, ai: Some(ai(model)), ..event() }
    }

    fn ai(model: Option<&str>) -> AiUsage {
        AiUsage {
            model: model.map(Into::into),
            prompt_tokens: Some(3),
            cost_micros: Some(5),
            ..AiUsage::default()
        }
    }

    fn calls_of(tallies: &Tallies) -> u64 {
        tallies.iter().flat_map(|(_, _, tally)| tally.iter()).map(|(_, sums)| sums.rollup.calls).sum()
    }

    /// The models of a team, by its day.
    fn models_of(tallies: &Tallies) -> BTreeMap<(UnixMs, String), BTreeSet<String>> {
        let mut models: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (_, bucket, tally) in tallies.iter() {
            for (caller, _) in tally.iter().filter(|(caller, _)| caller.route != OTHER) {
                let day = Granularity::Day.bucket(bucket);
                models.entry((day, caller.team.clone())).or_default().insert(caller.route.clone());
            }
        }
        models
    }

    proptest! {
        /// Through intake, storage and folds, the sums by model are those of the AI calls.
        #[test]
        fn sums_by_model_add_up_to_all_ai_calls(
            batches in proptest::collection::vec(
                (proptest::collection::vec((0_u8..3, proptest::option::of(0_u32..80)), 0..60), 0_i64..90),
                1..20,
            ),
        ) {
            let (mut open, mut rows, mut now) = (Tallies::default(), Vec::<Row>::new(), START);
            let mut sent = BTreeMap::<String, Rollup>::new();
            for (calls, minutes) in batches {
                now += minutes * MINUTE_MS;
                let mut events: Vec<UsageEvent> = calls
                    .iter()
                    .map(|(team, model)| call(*team, model.map(|n| format!("model {n}")).as_deref(), now))
                    .collect();
                for event in &events {
                    sent.entry(event.team.to_string()).or_default().count(event);
                }
                // A call of no AI is not counted.
                events.push(UsageEvent { at: now, ..event() });
                let text = serde_json::to_string(&Sheet::from(&tallies_of(&events, now))).unwrap();
                let arrived = bounded(Tallies::from(&serde_json::from_str::<Sheet>(&text).unwrap()), &open);
                rows.extend(fold(&mut open, arrived, now, &Dimension::MODELS));
                prop_assert!(models_of(&open).values().all(|models| models.len() <= MAX_MODELS));
            }
            for later in [10 * MINUTE_MS, 15 * DAY_MS] {
                rows.extend(fold(&mut open, Tallies::default(), now + later, &Dimension::MODELS));
            }
            prop_assert_eq!(&open, &Tallies::default());
            for granularity in Granularity::ALL {
                let (mut all, mut by_team) = (Rollup::default(), BTreeMap::<String, Rollup>::new());
                for row in rows.iter().filter(|row| row.granularity == granularity) {
                    if row.dimension == Dimension::Model {
                        all.merge(&row.sums.rollup);
                    } else {
                        let (team, _) = row.key.split_once(' ').unwrap();
                        by_team.entry(team.to_owned()).or_default().merge(&row.sums.rollup);
                    }
                }
                let mut total = Rollup::default();
                for sums in sent.values() {
                    total.merge(sums);
                }
                prop_assert_eq!(&by_team, &sent);
                prop_assert_eq!(all, total);
            }
        }

        #[test]
        fn a_name_is_one_part_of_a_key(model in any::<String>()) {
            let part: String = part_of(&model).collect();
            prop_assert!(!part.contains(' ') && !part.chars().any(char::is_control));
            prop_assert_eq!(part_of(&name_of(&part)).collect::<String>(), part);
        }
    }

    #[test]
    fn a_thousand_models_of_a_day_are_fifty_and_one_other() {
        let mut open = Tallies::default();
        for minute in 0..100 {
            let now = START + minute * MINUTE_MS;
            let names: Vec<String> = (0..10).map(|n| format!("made-up-{minute}-{n}")).collect();
            let events: Vec<UsageEvent> = names.iter().map(|name| call(1, Some(name), now)).collect();
            let arrived = bounded(tallies_of(&events, now), &open);
            fold(&mut open, arrived, now, &Dimension::MODELS);
        }
        let first = models_of(&open)[&(START, "team-1".to_owned())].clone();
        assert_eq!(first.len(), MAX_MODELS);
        assert!(first.contains("made-up-0-9") && first.contains("made-up-4-0"), "those that came first");
        assert_eq!(calls_of(&open), 1_000);
        let next = START + DAY_MS + HOUR_MS;
        let arrived =
            bounded(tallies_of(&[call(1, Some("new"), next), call(2, Some("new"), START)], next), &open);
        let models = models_of(&arrived);
        assert!(models[&(next - HOUR_MS, "team-1".to_owned())].contains("new"), "another day");
        assert!(models[&(START, "team-2".to_owned())].contains("new"), "another team");
    }

    #[test]
    fn one_batch_of_many_models_is_as_short() {
        let names: Vec<String> = (0..400).map(|n| format!("{n:0>MAX_MODEL_LEN$}")).collect();
        let events: Vec<UsageEvent> = names.iter().map(|name| call(1, Some(name), START)).collect();
        let tallies = tallies_of(&events, START);
        assert_eq!((calls_of(&tallies), models_of(&tallies)[&(START, "team-1".to_owned())].len()), (400, 50));
        assert!(serde_json::to_string(&Sheet::from(&tallies)).unwrap().len() < 10_000);
    }
}
