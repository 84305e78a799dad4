//! Schedules of the store of usage: each call counts once, whatever happens.

use super::usage_models;
use super::usage_sent::{START, Seeded, call, keyed};
use super::usage_store::{FoldRead, Store};
use super::{DAY_MS, HOUR_MS};
use admin_api::intake::{Entry, Keyed, TakenKeys, fresh};
use domain::time::{MINUTE_MS, UnixMs};
use domain::usage::UsageEvent;
use domain::usage::label::Labels;

/// A consumer or a fold between two steps; it may die at any.
enum Worker {
    Idle,
    /// A consumer that has read for the messages of a delivery.
    Consumed(Vec<usize>, i64, Vec<TakenKeys>),
    Folded(Box<FoldRead>),
}

/// Plays one schedule: messages come again and in any order, two consumers and two folds work at once, and each may
/// die between any two steps. Nothing is acknowledged before it is stored.
fn play(seed: u64) {
    let mut random = Seeded::new(seed);
    let mut now = START + 23 * HOUR_MS;
    let messages: Vec<Keyed> =
        (0..=5 + random.below(8)).map(|number| scheduled(&mut random, seed, number, now)).collect();
    let sent: u64 = messages.iter().map(|keyed| keyed.message.events.len() as u64).sum();
    let mut store = Store::new();
    let mut queue: Vec<usize> = (0..messages.len()).collect();
    let mut workers = [Worker::Idle, Worker::Idle, Worker::Idle, Worker::Idle];
    for step in 0..400 {
        now += i64::try_from(random.below(90_000)).unwrap();
        let turn = random.usize_below(4);
        let dies = random.below(6) == 0;
        let state = std::mem::replace(&mut workers[turn], Worker::Idle);
        workers[turn] = match (state, turn) {
            (Worker::Idle, 0 | 1) if !queue.is_empty() => {
                let take: Vec<usize> =
                    (0..=random.below(4)).map(|_| queue[random.usize_below(queue.len())]).collect();
                let batch: Vec<Keyed> = take.iter().map(|i| messages[*i].clone()).collect();
                let (last, taken) = store.read_intake(&batch);
                Worker::Consumed(take, last, taken)
            }
            (Worker::Idle, 2 | 3) => Worker::Folded(Box::new(store.read_fold())),
            (_, _) if dies && random.below(2) == 0 => Worker::Idle,
            (Worker::Consumed(take, last, taken), _) => {
                let batch: Vec<Keyed> = take.iter().map(|i| messages[*i].clone()).collect();
                let entry = Entry::of(&fresh(&batch, &taken), now);
                let is_stored = store.commit_intake(last, &entry, now);
                // Death after the commit: no acknowledgement, so all come again.
                if is_stored && !dies {
                    queue.retain(|i| !take.contains(i));
                }
                Worker::Idle
            }
            (Worker::Folded(read), _) => {
                store.commit_fold(*read, now);
                Worker::Idle
            }
            (idle, _) => idle,
        };
        assert!(step % 40 != 0 || store.counted() <= sent, "seed {seed}");
    }
    for index in queue {
        store.take_in(&[messages[index].clone()], now);
    }
    check_stored(&mut store, &messages, now, seed);
}

fn scheduled(random: &mut Seeded, seed: u64, number: u64, now: UnixMs) -> Keyed {
    let late = random.below(3) * random.below(3) * random.below(2 * 60) * MINUTE_MS.unsigned_abs();
    let at = now - i64::try_from(late).unwrap();
    let events = (0..=random.below(5)).map(|i| {
        let id = format!("{seed}-{number}-{i}");
        let label = ([None, Some("a"), Some("b")])[random.usize_below(3)];
        let event = call(&id, at + i64::try_from(i).unwrap(), random.below(3), random.below(2));
        let ai = random.below(2) == 0;
        let ai = ai.then(|| usage_models::ai(random.below(3)));
        UsageEvent { label: label.map(Into::into), ai, ..event }
    });
    let events = events.collect();
    keyed(number + seed * 1_000, at, events)
}

/// Checks that what was sent is counted once, and listed once, in whatever form it is read.
fn check_stored(store: &mut Store, messages: &[Keyed], now: UnixMs, seed: u64) {
    let sent: u64 = messages.iter().map(|keyed| keyed.message.events.len() as u64).sum();
    let dropped: u64 = messages.iter().map(|keyed| keyed.message.dropped).sum();
    store.fold(now);
    assert_eq!(store.counted(), sent, "seed {seed}");
    let listed = store.listed();
    assert_eq!(listed.len() as u64, sent, "seed {seed}");
    assert!(listed.values().all(|times| *times == 1), "seed {seed}");
    let labelled =
        messages.iter().flat_map(|keyed| &keyed.message.events).filter(|event| event.label.is_some());
    let of_labels = store.labels().iter().flat_map(Labels::iter).map(|(_, sums)| sums.calls).sum::<u64>();
    assert_eq!(of_labels, labelled.count() as u64, "seed {seed}");
    let of_ai = messages.iter().flat_map(|keyed| &keyed.message.events).filter(|event| event.ai.is_some());
    let of_ai = of_ai.count() as u64;
    store.fold(now + 9 * DAY_MS);
    for (dimension, granularity) in [("model", "hour"), ("team-model", "day"), ("model", "week")] {
        assert_eq!(store.calls_of(dimension, granularity), of_ai, "seed {seed}: {dimension} {granularity}");
    }
    for (dimension, granularity) in
        [("all", "day"), ("token", "day"), ("route-token", "week"), ("team-route", "hour")]
    {
        assert_eq!(store.calls_of(dimension, granularity), sent, "seed {seed}: {dimension} {granularity}");
    }
    assert_eq!(store.count("SELECT coalesce(sum(dropped), 0) FROM losses"), dropped, "seed {seed}");
}

#[test]
fn a_thousand_schedules_count_and_list_each_call_once() {
    (0..1_000).for_each(play);
}
