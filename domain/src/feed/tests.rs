use super::*;
use crate::time::{SECOND_MS, UnixMs};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const T0: UnixMs = 1_790_000_000_000;

fn hash(number: u64) -> TokenHash {
    format!("{number:064x}").parse().unwrap()
}

fn value(version: u64, text: &str) -> Value {
    Value { version, text: text.to_owned() }
}

fn token(number: u64, version: u64) -> Append {
    Append { tokens: vec![(hash(number), value(version, &format!("v{version}")))], tables: vec![] }
}

fn table(version: u64) -> Append {
    Append { tokens: vec![], tables: vec![(Table::Routes, value(version, "table"))] }
}

fn poll(since: Option<u64>) -> Poll {
    Poll { since, tables: vec![] }
}

#[test]
fn the_wire_format_is_pinned() {
    let text = |command: &Command| serde_json::to_string(command).unwrap();
    let h = hash(1);
    let h = h.as_str();
    let append = Append { tables: table(7).tables, ..token(1, 2) };
    assert_eq!(
        text(&Command::Append(append)),
        format!(
            r#"{{"append":{{"tokens":[["{h}",{{"version":2,"text":"v2"}}]],"tables":[["routes",{{"version":7,"text":"table"}}]]}}}}"#
        )
    );
    assert_eq!(text(&Command::Poll(poll(None))), r#"{"poll":{}}"#);
    assert_eq!(
        text(&Command::Poll(Poll { since: Some(4), tables: vec![(Table::Prices, 2)] })),
        r#"{"poll":{"since":4,"tables":[["prices",2]]}}"#
    );
    let mut feed = Feed::restored(4, 3, []);
    feed.append(token(1, 2), T0);
    assert_eq!(
        serde_json::to_string(&feed.poll(&poll(Some(4)), T0)).unwrap(),
        format!(
            r#"{{"seq":5,"floor":3,"is_fed":true,"tokens":[["{h}",{{"seq":5,"version":2,"text":"v2"}}]]}}"#
        )
    );
}

#[test]
fn silence_means_that_nothing_has_changed_only_while_somebody_tells_of_changes() {
    let mut feed = Feed::new(T0);
    let is_fed = |feed: &Feed, at: UnixMs| feed.poll(&poll(None), at).is_fed;
    assert!(!is_fed(&feed, T0), "nobody has told it anything");
    feed.append(token(1, 1), T0);
    assert!(is_fed(&feed, T0 + FED_MS - 1) && !is_fed(&feed, T0 + FED_MS));
    feed.glance(&Glance::default(), T0 + FED_MS);
    assert!(is_fed(&feed, T0 + 2 * FED_MS - 1), "the cron's word");
    assert!(!is_fed(&Feed::restored(feed.seq(), feed.floor(), []), T0 + FED_MS), "not known after a restart");
    assert!(
        !serde_json::from_str::<Changes>(r#"{"seq":5,"floor":3}"#).unwrap().is_fed,
        "an older object's response"
    );

    let mut pulse = Pulse::default();
    pulse.look(T0, 2_000);
    pulse.ended(T0, Some(true), T0 + 10);
    assert_eq!(pulse.current_at(), Some(T0));
    pulse.look(T0 + 2_000, 2_000);
    pulse.ended(T0 + 2_000, Some(false), T0 + 2_010);
    assert_eq!((pulse.current_at(), pulse.is_confirmed(T0 + 6_000)), (Some(T0), true));
}

#[test]
fn an_older_value_never_replaces_a_newer_one() {
    let mut feed = Feed::new(T0);
    assert_eq!(feed.append(token(1, 3), T0).len(), 1);
    assert_eq!(feed.append(token(1, 2), T0), [], "overtaken");
    assert_eq!(feed.append(token(1, 3), T0), [], "tried again");
    let repaired = Append { tokens: vec![(hash(1), value(3, "repaired"))], tables: vec![] };
    assert_eq!(feed.append(repaired, T0).len(), 1);
    assert_eq!(feed.append(table(2), T0).len(), 1);
    assert_eq!(feed.append(table(1), T0), []);

    let mut follower = Follower::default();
    follower.take(feed.poll(&follower.poll(vec![]), T0));
    assert_eq!(follower.token(&hash(1), Some(2)), Some("repaired"));
    assert_eq!(follower.token(&hash(1), None), Some("repaired"), "KV shows no entry yet");
    assert_eq!(follower.token(&hash(1), Some(3)), None);
    assert_eq!(follower.token(&hash(2), None), None);
}

#[test]
fn only_what_is_new_is_told() {
    let mut feed = Feed::new(T0);
    let mut follower = Follower::default();
    feed.append(token(1, 1), T0);
    feed.append(table(5), T0);
    let first = follower.take(feed.poll(&follower.poll(vec![(Table::Routes, 5)]), T0));
    assert_eq!((first.start_over, first.tokens, first.tables), (false, vec![hash(1)], vec![]));
    assert!(follower.take(feed.poll(&follower.poll(vec![]), T0)).is_empty());
    feed.append(table(6), T0);
    let news = follower.take(feed.poll(&follower.poll(vec![(Table::Routes, 5)]), T0));
    let [(Table::Routes, told)] = news.tables.as_slice() else { panic!("{:?}", news.tables) };
    assert_eq!((told.version, told.text.as_str()), (6, "table"));
    assert!(news.tokens.is_empty() && !news.start_over);
}

#[test]
fn a_table_is_let_go_when_kv_shows_it_by_now() {
    let mut feed = Feed::new(T0);
    feed.append(table(5), T0);
    feed.prune(T0 + KEPT_MS - 1);
    assert_eq!(feed.poll(&poll(None), T0).tables.len(), 1);
    assert!(!feed.prune(T0 + KEPT_MS), "no token");
    assert_eq!(feed.poll(&poll(None), T0).tables, []);
    assert_eq!(feed.glance(&Glance { tokens: vec![], tables: vec![Table::Routes] }, T0), Held::default());
    assert_eq!(feed.append(table(1), T0 + KEPT_MS).len(), 1, "of a D1 that was made anew");
}

#[test]
fn an_isolate_that_is_too_far_behind_starts_over() {
    let mut feed = Feed::new(T0);
    let mut follower = Follower::default();
    feed.append(token(1, 1), T0);
    follower.take(feed.poll(&follower.poll(vec![]), T0));
    feed.append(token(2, 1), T0 + SECOND_MS);
    assert!(!feed.prune(T0 + KEPT_MS - 1) && feed.prune(T0 + KEPT_MS));
    let news = follower.take(feed.poll(&follower.poll(vec![]), T0));
    assert_eq!((news.start_over, news.tokens), (false, vec![hash(2)]), "it has missed nothing");
    assert_eq!(follower.token(&hash(1), None), None, "forgotten with the feed");

    feed.append(token(3, 1), T0 + KEPT_MS);
    feed.append(token(4, 1), T0 + 2 * KEPT_MS);
    assert!(feed.prune(T0 + 2 * KEPT_MS));
    let news = follower.take(feed.poll(&follower.poll(vec![]), T0));
    assert_eq!((news.start_over, news.tokens), (true, vec![hash(4)]));
}

#[test]
fn a_feed_that_was_lost_is_noticed() {
    let mut feed = Feed::new(T0);
    let mut follower = Follower::default();
    feed.append(token(1, 1), T0);
    follower.take(feed.poll(&follower.poll(vec![]), T0));
    let again = Feed::new(T0 + 5_000);
    let news = follower.take(again.poll(&follower.poll(vec![]), T0));
    assert!(news.start_over);
    let mut older = Feed::new(T0 - 5_000);
    assert!(follower.take(older.poll(&follower.poll(vec![]), T0)).start_over);
    assert_eq!(follower.token(&hash(1), Some(0)), Some("v1"), "KV may show an older one");
    older.append(token(2, 1), T0);
    older.append(token(3, 1), T0 + 1);
    follower.take(older.poll(&follower.poll(vec![]), T0));
    older.prune(T0 + KEPT_MS);
    assert!(!follower.take(older.poll(&follower.poll(vec![]), T0)).start_over);
    assert_eq!(follower.token(&hash(1), Some(0)), None);
}

#[test]
fn a_response_that_was_overtaken_brings_nothing() {
    let mut feed = Feed::new(T0);
    let mut follower = Follower::default();
    feed.append(token(1, 1), T0);
    follower.take(feed.poll(&follower.poll(vec![]), T0));
    let late = feed.poll(&follower.poll(vec![]), T0);
    feed.append(token(1, 2), T0);
    follower.take(feed.poll(&follower.poll(vec![]), T0));
    assert!(follower.take(late).is_empty());
    assert_eq!(follower.token(&hash(1), Some(1)), Some("v2"));
}

#[test]
fn the_feed_is_bounded() {
    let mut feed = Feed::new(T0);
    for number in 0..MOST_KEPT as u64 + 10 {
        feed.append(token(number, 1), T0);
    }
    feed.prune(T0);
    let all = feed.poll(&poll(None), T0);
    assert_eq!((all.tokens.len(), all.floor), (MOST_KEPT, feed.seq() - MOST_KEPT as u64));
    assert!(all.tokens.iter().all(|(_, placed)| placed.seq > all.floor));
}

#[test]
fn long_records_are_bounded_and_told_in_parts() {
    let mut feed = Feed::new(T0);
    let long = |number| Append { tokens: vec![(hash(number), value(1, &"x".repeat(6_000)))], tables: vec![] };
    for number in 0..3_000 {
        feed.append(long(number), T0);
    }
    feed.prune(T0);
    // Those that are changed once more take no more room.
    for number in 2_000..3_000 {
        feed.append(
            Append { tokens: vec![(hash(number), value(2, &"y".repeat(6_000)))], tables: vec![] },
            T0,
        );
    }
    feed.append(table(1), T0);
    feed.prune(T0);
    let mut follower = Follower::default();
    let (mut told, mut parts, mut has_more, mut tables) = (BTreeSet::new(), 0, true, 0);
    while has_more {
        let changes = feed.poll(&follower.poll(vec![]), T0);
        let bytes: usize = changes.tokens.iter().map(|(_, placed)| placed.text.len()).sum();
        assert!(bytes <= 1_006_000 && (parts == 0) == changes.start_over, "{bytes} in part {parts}");
        has_more = changes.has_more;
        tables += changes.tables.len();
        let news = follower.take(changes);
        assert!(!news.start_over);
        told.extend(news.tokens);
        parts += 1;
    }
    assert_eq!((told.len(), told.first(), parts), (8_000_000 / 6_000, Some(&hash(3_000 - 1_333)), 8));
    assert!(tables >= 1 && follower.take(feed.poll(&follower.poll(vec![]), T0)).is_empty());
}

#[test]
fn a_saved_feed_is_the_same() {
    let mut feed = Feed::new(T0);
    let mut rows = BTreeMap::new();
    for (number, version) in [(1, 1), (2, 1), (1, 2)] {
        for row in feed.append(token(number, version), T0) {
            rows.insert(format!("{number}"), row);
        }
    }
    for row in feed.append(table(1), T0) {
        rows.insert("table".to_owned(), row);
    }
    // Rows come in no order.
    let restored = Feed::restored(feed.seq(), feed.floor(), rows.into_values().rev());
    for since in [None, Some(feed.floor()), Some(feed.floor() + 1), Some(feed.floor() + 2)] {
        assert_eq!(restored.poll(&poll(since), UnixMs::MAX), feed.poll(&poll(since), UnixMs::MAX));
    }
}

#[test]
fn a_long_table_is_split_into_rows_that_fit() {
    let text = "ä€x".repeat(700_000);
    let parts = Row::parts(&text);
    assert!(parts.len() > 2 && parts.iter().all(|part| part.len() <= 1_000_000));
    assert_eq!(parts.concat(), text);
    assert_eq!(Row::parts(""), [""]);
}

#[test]
fn an_isolate_polls_every_two_seconds_and_no_more() {
    let mut pulse = Pulse::default();
    let look = |is_confirmed, begins| Look { is_confirmed, begins };
    assert_eq!(pulse.look(T0, 2_000), look(false, true));
    assert_eq!(pulse.look(T0 + 2_500, 2_000), look(false, false), "one at a time");
    assert!(pulse.ended(T0, Some(true), T0 + 2_600));
    assert_eq!(pulse.look(T0 + 2_600, 2_000), look(true, true));
    assert_eq!(pulse.look(T0 + 4_599, 2_000), look(true, false));
    assert_eq!(pulse.look(T0 + 5_000, 2_000), look(false, false), "the second one has not ended");
    assert_eq!(pulse.look(T0 + 7_600, 2_000), look(false, true), "it is given up");
    assert!(pulse.ended(T0 + 7_600, Some(true), T0 + 7_700));
    assert!(!pulse.ended(T0 + 2_600, Some(true), T0 + 7_800), "overtaken");
    assert!(pulse.is_confirmed(T0 + 12_599) && !pulse.is_confirmed(T0 + 12_600));
}

#[test]
fn a_call_waits_for_a_quarter_of_a_second_and_then_none_does_for_a_while() {
    let mut pulse = Pulse::default();
    assert!(!pulse.may_wait(T0), "nothing to wait for");
    pulse.look(T0, 2_000);
    assert!(pulse.may_wait(T0 + 249) && !pulse.may_wait(T0 + 250));
    pulse.look(T0 + 5_000, 2_000);
    assert!(!pulse.may_wait(T0 + 5_001) && pulse.is_failing(), "the feed is slow");
    pulse.ended(T0 + 5_000, Some(true), T0 + 5_250);
    pulse.look(T0 + 10_000, 2_000);
    assert!(!pulse.may_wait(T0 + 10_001) && pulse.is_failing(), "it was slow again");
    pulse.ended(T0 + 10_000, Some(true), T0 + 10_249);
    assert!(!pulse.is_failing(), "it was quick");
    pulse.look(T0 + 12_000, 2_000);
    assert!(pulse.may_wait(T0 + 12_001));
    pulse.ended(T0 + 12_000, None, T0 + 12_002);
    assert!(!pulse.may_wait(T0 + 12_002));
    pulse.look(T0 + 14_000, 2_000);
    assert!(!pulse.may_wait(T0 + 14_001), "it is away");
    pulse.look(T0 + 23_000, 2_000);
    assert!(pulse.may_wait(T0 + 23_001));
}

#[test]
fn calls_that_are_rare_wait_for_a_slow_feed_once_in_ten_seconds() {
    let mut pulse = Pulse::default();
    let mut waited = 0;
    for now in (T0..T0 + 60_000).step_by(6_000) {
        assert!(!pulse.look(now, 2_000).is_confirmed);
        waited += i64::from(pulse.may_wait(now));
        pulse.may_wait(now + WAIT_MS);
        assert!(pulse.ended(now, Some(true), now + 300));
    }
    assert_eq!(waited, 5, "every second one");
}

/// A step of a run: D1 changes a token and its publisher appends some version up to the current one; an isolate
/// polls, and the response may be lost; time passes.
#[derive(Clone, Debug)]
enum Step {
    Change { token: u64, late: u64 },
    Poll { isolate: usize, is_lost: bool },
    Pass { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u64, 0..3_u64).prop_map(|(token, late)| Step::Change { token, late }),
        (0..3_usize, any::<bool>()).prop_map(|(isolate, is_lost)| Step::Poll { isolate, is_lost }),
        (1..20 * MINUTE_MS).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    /// Whatever overtakes whatever, after a poll an isolate uses no version older than what had been appended before it,
    /// if KV is no further behind than changes are kept. An isolate that must start over is told so.
    #[test]
    fn a_poll_brings_every_version_that_was_appended_before_it(steps in prop::collection::vec(step(), 1..80)) {
        let mut now = T0;
        let mut feed = Feed::new(now);
        let mut current: BTreeMap<u64, u64> = BTreeMap::new();
        // Each version that was appended, with its time: KV shows those that are older than KEPT_MS.
        let mut appended: Vec<(u64, u64, UnixMs)> = vec![];
        let mut isolates = vec![(Follower::default(), BTreeMap::<u64, u64>::new()); 3];
        for step in steps {
            match step {
                Step::Pass { ms } => now += ms,
                Step::Change { token: number, late } => {
                    let newest = current.entry(number).or_insert(0);
                    *newest += 1;
                    // An overtaken publisher appends an older version after the newest.
                    for version in [*newest, newest.saturating_sub(late).max(1)] {
                        feed.append(token(number, version), now);
                    }
                    appended.push((number, *newest, now));
                }
                Step::Poll { isolate, is_lost } => {
                    let (follower, cached) = &mut isolates[isolate];
                    feed.prune(now);
                    let changes = feed.poll(&follower.poll(vec![]), T0);
                    if is_lost {
                        continue;
                    }
                    let news = follower.take(changes);
                    for (number, newest) in &current {
                        let shown = appended.iter().filter(|(n, _, at)| n == number && now - at >= KEPT_MS);
                        let from_kv = shown.map(|(_, version, _)| *version).max();
                        // A cached value may be as old as the last poll, and older than KV's.
                        let cached_one = cached.get(number).copied();
                        let held = if news.start_over { cached_one.max(from_kv) } else { cached_one.or(from_kv) };
                        let told = follower.token(&hash(*number), held);
                        let used = told.map(|text| text[1..].parse().unwrap()).or(held);
                        prop_assert_eq!(used, Some(*newest));
                        cached.insert(*number, *newest);
                    }
                }
            }
        }
    }
}
