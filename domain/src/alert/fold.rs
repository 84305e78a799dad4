//! Several alerts in one: of an event and a subject a channel gets one an hour, and of an event with many subjects a few
//! and then a summary.

use super::event::Event;
use crate::time::{HOUR_MS, UnixMs};

/// The subject of a delivery that stands for several.
pub const MANY: &str = "";
/// The subjects of one event of which a channel hears singly within an hour; the others share a delivery.
const SINGLY: usize = 4;

/// A delivery of the last hour, or one that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub id: String,
    /// Its event.
    pub event: Event,
    /// Its subject, or [`MANY`].
    pub subject: String,
    /// When it was, or will be, due, unix ms.
    pub due_at: UnixMs,
    /// Whether it was not tried yet, so that more can be added to it.
    pub is_open: bool,
}

/// The place of one more alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a delivery of its own, or of many.
    New {
        /// The subject, or [`MANY`].
        subject: String,
        /// When it is due.
        due_at: UnixMs,
    },
    /// In one that waits: its text becomes this alert's, "and one more".
    Join(String),
}

/// Finds the place of an alert among a channel's deliveries.
pub fn place(earlier: &[Earlier], event: Event, subject: &str, now: UnixMs) -> Place {
    let of = |subject: &str| {
        let fits = |one: &&Earlier| one.event == event && one.subject == subject;
        earlier.iter().filter(fits).max_by_key(|one| one.due_at)
    };
    if let Some(place) = of(subject).and_then(|last| after(last, now)) {
        return place;
    }
    let is_single = |one: &&Earlier| one.event == event && one.subject != MANY && one.due_at > now - HOUR_MS;
    if earlier.iter().filter(is_single).count() < SINGLY {
        return Place::New { subject: subject.to_owned(), due_at: now };
    }
    let group = of(MANY).and_then(|last| after(last, now));
    group.unwrap_or_else(|| Place::New { subject: MANY.to_owned(), due_at: now })
}

/// Returns the place of an alert after the last delivery of the same, unless that is more than an hour ago.
fn after(last: &Earlier, now: UnixMs) -> Option<Place> {
    if last.is_open {
        return Some(Place::Join(last.id.clone()));
    }
    let due_at = last.due_at + HOUR_MS;
    (due_at > now).then(|| Place::New { subject: last.subject.clone(), due_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY_MS, MINUTE_MS};
    use proptest::prelude::*;

    const EVENT: Event = Event::TokenEnds;

    /// A channel whose deliveries are sent when they are due.
    #[derive(Default)]
    struct Channel {
        earlier: Vec<Earlier>,
        more: Vec<usize>,
    }

    impl Channel {
        fn take(&mut self, subject: &str, now: UnixMs) {
            for one in &mut self.earlier {
                one.is_open &= one.due_at >= now;
            }
            match place(&self.earlier, EVENT, subject, now) {
                Place::Join(id) => self.more[id.parse::<usize>().unwrap()] += 1,
                Place::New { subject, due_at } => {
                    let id = self.earlier.len().to_string();
                    self.earlier.push(Earlier { id, event: EVENT, subject, due_at, is_open: true });
                    self.more.push(0);
                }
            }
        }
    }

    #[test]
    fn one_subject_is_heard_of_once_an_hour_and_the_second_time_with_a_count() {
        let mut channel = Channel::default();
        for minute in 0..13 {
            channel.take("a", minute * MINUTE_MS);
        }
        let due: Vec<_> = channel.earlier.iter().map(|one| one.due_at).collect();
        assert_eq!((due, channel.more), (vec![0, HOUR_MS], vec![0, 11]));
    }

    #[test]
    fn a_flood_of_one_event_is_four_alerts_and_a_summary() {
        let mut channel = Channel::default();
        for n in 0..500 {
            channel.take(&format!("tok_{n}"), 7);
        }
        let subjects: Vec<_> = channel.earlier.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(subjects, ["tok_0", "tok_1", "tok_2", "tok_3", MANY]);
        assert_eq!(channel.more.last(), Some(&495));
        channel.take("tok_500", 7 + MINUTE_MS);
        let last = channel.earlier.last().unwrap();
        assert_eq!((last.subject.as_str(), last.due_at), (MANY, 7 + HOUR_MS));
    }

    #[test]
    fn another_event_is_not_held_back() {
        let sent = Earlier { id: "0".into(), event: EVENT, subject: "a".into(), due_at: 0, is_open: false };
        let new = Place::New { subject: "a".into(), due_at: 1 };
        assert_eq!(place(std::slice::from_ref(&sent), Event::Budget, "a", 1), new);
        let place = place(&[sent], EVENT, "a", HOUR_MS);
        assert_eq!(place, Place::New { subject: "a".into(), due_at: HOUR_MS }, "an hour later");
    }

    proptest! {
        #[test]
        fn no_alert_is_lost_and_no_hour_has_more_than_its_share(
            mut times in proptest::collection::vec((0_i64..DAY_MS, 0_u8..12), 1..300),
        ) {
            times.sort_unstable();
            let mut channel = Channel::default();
            for (at, subject) in &times {
                channel.take(&subject.to_string(), *at);
            }
            let told: usize = channel.more.iter().map(|more| more + 1).sum();
            prop_assert_eq!(told, times.len());
            for one in &channel.earlier {
                let same = |other: &&Earlier| other.subject == one.subject
                    && (one.due_at..one.due_at + HOUR_MS).contains(&other.due_at);
                prop_assert_eq!(channel.earlier.iter().filter(same).count(), 1);
            }
        }
    }
}
