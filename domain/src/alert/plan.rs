//! From what has happened to deliveries: to whom, and in which.

use super::event::{Alert, Event, Occurrence, Wanted};
use super::fold::{Earlier, Place, place};
use crate::id::TeamId;
use crate::time::UnixMs;

/// A channel that gets alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id, `chn_…`.
    pub id: String,
    /// Its team; a channel of the system has none.
    pub team: Option<TeamId>,
    /// The events that it asks for.
    pub events: Vec<Event>,
    /// Shares of budgets, in percent.
    pub thresholds: Vec<u8>,
}

/// A new delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct New {
    /// Its id, which says which occurrence it is to which channel: the same plan makes the same ids.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// The subject, empty for several.
    pub subject: String,
    /// The alert, of several the latest.
    pub alert: Alert,
    /// The number of the others.
    pub more: u32,
    /// When it is due, unix ms.
    pub due_at: UnixMs,
}

/// Alerts that join a delivery that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// Id of the delivery.
    pub id: String,
    /// The latest of them.
    pub alert: Alert,
    /// Their number.
    pub more: u32,
}

/// The deliveries of some occurrences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// New deliveries.
    pub new: Vec<New>,
    /// Alerts that join earlier ones.
    pub joined: Vec<Joined>,
}

/// Plans deliveries of occurrences, each with its number. `earlier` are the deliveries of the last hour, by channel.
pub fn plan(
    occurrences: &[(i64, Occurrence)],
    channels: &[Channel],
    mut earlier: Vec<(String, Vec<Earlier>)>,
    now: UnixMs,
) -> Plan {
    let mut plan = Plan::default();
    for (number, occurrence) in occurrences {
        let Some(event) = occurrence.event() else { continue };
        for channel in channels {
            let Channel { id, team, events, thresholds } = channel;
            if !(Wanted { team: team.as_ref(), events, thresholds }).asks_for(event, occurrence) {
                continue;
            }
            let alert = Alert {
                event,
                subject: occurrence.subject.clone(),
                team: occurrence.team.clone(),
                details: occurrence.details.clone(),
                at: occurrence.at,
            };
            let at = earlier.iter().position(|(of, _)| of == id).unwrap_or_else(|| {
                earlier.push((id.clone(), vec![]));
                earlier.len() - 1
            });
            let Some((_, sent)) = earlier.get_mut(at) else { continue };
            match place(sent, event, &occurrence.subject, now) {
                Place::Join(delivery) => plan.join(delivery, alert),
                Place::New { subject, due_at } => {
                    let channel = id.trim_start_matches("chn_");
                    // With the time: a restore of the database makes the numbers begin again where they were.
                    let delivery = format!("msg_{}_{number}_{channel}", occurrence.at);
                    sent.push(Earlier {
                        id: delivery.clone(),
                        event,
                        subject: subject.clone(),
                        due_at,
                        is_open: true,
                    });
                    plan.new.push(New { id: delivery, channel: id.clone(), subject, alert, more: 0, due_at });
                }
            }
        }
    }
    plan
}

impl Plan {
    fn join(&mut self, id: String, alert: Alert) {
        if let Some(new) = self.new.iter_mut().find(|new| new.id == id) {
            (new.alert, new.more) = (alert, new.more + 1);
        } else if let Some(joined) = self.joined.iter_mut().find(|joined| joined.id == id) {
            (joined.alert, joined.more) = (alert, joined.more + 1);
        } else {
            self.joined.push(Joined { id, alert, more: 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ends(number: i64, token: &str) -> (i64, Occurrence) {
        let details = json!({"name": token, "step": 3});
        let occurrence = Occurrence {
            kind: "token-expiring".to_owned(),
            subject: token.to_owned(),
            team: Some("ops".into()),
            details,
            is_over: false,
            before: 14,
            at: number,
        };
        (number, occurrence)
    }

    fn channel(id: &str, team: Option<&str>, events: &[Event]) -> Channel {
        Channel {
            id: id.to_owned(),
            team: team.map(TeamId::from),
            events: events.to_vec(),
            thresholds: vec![],
        }
    }

    #[test]
    fn each_channel_that_asks_gets_its_own_delivery_and_the_same_ids_again() {
        let channels = [
            channel("chn_a", None, &[Event::TokenEnds]),
            channel("chn_b", Some("ops"), &[Event::TokenEnds]),
            channel("chn_c", Some("web"), &[Event::TokenEnds]),
            channel("chn_d", None, &[Event::Budget]),
        ];
        let made = plan(&[ends(7, "tok_1")], &channels, vec![], 100);
        let ids: Vec<_> =
            made.new.iter().map(|new| (new.id.as_str(), new.channel.as_str(), new.due_at)).collect();
        assert_eq!(ids, [("msg_7_7_a", "chn_a", 100), ("msg_7_7_b", "chn_b", 100)]);
        assert_eq!(plan(&[ends(7, "tok_1")], &channels, vec![], 100), made);
    }

    #[test]
    fn a_flood_in_one_run_is_told_in_few_deliveries_that_count_all() {
        let channels = [channel("chn_a", None, &[Event::TokenEnds])];
        let flood: Vec<_> = (0..200).map(|n| ends(n, &format!("tok_{n}"))).collect();
        let made = plan(&flood, &channels, vec![], 100);
        let told: u32 = made.new.iter().map(|new| new.more + 1).sum();
        assert_eq!((made.new.len(), told, made.joined.len()), (5, 200, 0));
        assert_eq!(made.new.last().map(|new| new.alert.subject.as_str()), Some("tok_199"), "the latest");
    }

    #[test]
    fn what_joins_a_delivery_that_waits_is_counted() {
        let channels = [channel("chn_a", None, &[Event::TokenEnds])];
        let waits = Earlier {
            id: "msg_1_a".into(),
            event: Event::TokenEnds,
            subject: "tok_1".into(),
            due_at: 500,
            is_open: true,
        };
        let earlier = vec![("chn_a".to_owned(), vec![waits])];
        let made = plan(&[ends(2, "tok_1"), ends(3, "tok_1")], &channels, earlier, 100);
        assert_eq!(made.new, []);
        let joined: Vec<_> =
            made.joined.iter().map(|one| (one.id.as_str(), one.more, one.alert.at)).collect();
        assert_eq!(joined, [("msg_1_a", 2, 3)]);
    }

    #[test]
    fn what_is_no_event_goes_nowhere() {
        let (number, occurrence) = ends(1, "x");
        let other = Occurrence { kind: "kv-drift".to_owned(), ..occurrence };
        let all: Vec<Event> = Event::choices().collect();
        assert_eq!(plan(&[(number, other)], &[channel("chn_a", None, &all)], vec![], 1), Plan::default());
    }
}
