//! The vendors' words about the calls of a batch, as they are stored: each text once.

use super::{Clipped, UsageEvent};
use crate::id::TeamId;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// The most calls of a batch whose errors are kept. A vendor that is down tells the same to all.
const MAX_CALLS: usize = 500;

/// Bytes of a body that are kept.
pub const MAX_SAID: usize = 4_096;

/// The vendor's words, as they are kept with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VendorError {
    /// The beginning of the response's body, at most 4 KiB, as text. `[removed]` stands for words that held a credential
    /// or a token.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub body: Clipped<MAX_SAID>,
    /// Whether the body was longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// A call, and the place of its error among the texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    id: String,
    at: UnixMs,
    team: TeamId,
    text: usize,
}

/// Errors of some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    texts: Vec<VendorError>,
    calls: Vec<Told>,
}

impl Errors {
    /// Takes the errors of calls.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Self {
        let mut errors = Self::default();
        for event in events {
            let Some(error) = event.error.as_ref().filter(|_| errors.calls.len() < MAX_CALLS) else {
                continue;
            };
            let known = errors.texts.iter().position(|text| text == error);
            let text = known.unwrap_or_else(|| {
                errors.texts.push(error.clone());
                errors.texts.len() - 1
            });
            errors.calls.push(Told { id: event.id.clone(), at: event.at, team: event.team.clone(), text });
        }
        errors
    }

    /// Whether no call has an error.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Leaves half of the calls out, if there are several. Returns whether there were.
    pub fn halve(&mut self) -> bool {
        let half = self.calls.len() / 2;
        let has_several = half > 0;
        if has_several {
            self.calls.truncate(half);
            let last = self.calls.iter().map(|call| call.text).max().unwrap_or(0);
            self.texts.truncate(last + 1);
        }
        has_several
    }

    /// Returns the times of the first and the last call.
    pub fn times(&self) -> (UnixMs, UnixMs) {
        let times = || self.calls.iter().map(|call| call.at);
        (times().min().unwrap_or(0), times().max().unwrap_or(0))
    }

    /// Returns the error of a team's call.
    pub fn find(&self, id: &str, team: &TeamId) -> Option<&VendorError> {
        let call = self.calls.iter().find(|call| call.id == id && call.team == *team)?;
        self.texts.get(call.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tests::event;

    #[test]
    fn the_same_words_are_kept_once_and_found_by_each_call_of_their_team() {
        let call = |id: &str, body: Option<&str>, at| UsageEvent {
            id: id.to_owned(),
            at,
            error: body.map(|body| VendorError { body: body.into(), is_cut: false }),
            ..event()
        };
        let mut errors = Errors::of(&[
            call("a", Some("down"), 5),
            call("b", None, 6),
            call("c", Some("down"), 9),
            call("d", Some("no"), 7),
            call("e", Some("never"), 8),
        ]);
        assert_eq!((errors.texts.len(), errors.times()), (3, (5, 9)));
        let team = event().team;
        let body =
            |errors: &Errors, id, team: &TeamId| errors.find(id, team).map(|error| error.body.to_string());
        assert_eq!(body(&errors, "c", &team).as_deref(), Some("down"));
        assert_eq!(body(&errors, "b", &team), None);
        assert_eq!(body(&errors, "c", &"other".into()), None);
        assert!(errors.halve());
        assert_eq!((errors.texts.len(), errors.calls.len()), (1, 2));
        assert!(errors.halve() && !errors.halve());
        assert!(Errors::of(&[call("b", None, 6)]).is_empty());
    }

    #[test]
    fn a_batch_keeps_a_bounded_number() {
        let calls: Vec<UsageEvent> = (0..2_000)
            .map(|n| UsageEvent {
                id: n.to_string(),
                error: Some(VendorError { body: "down".into(), is_cut: false }),
                ..event()
            })
            .collect();
        assert_eq!(Errors::of(&calls).calls.len(), MAX_CALLS);
    }
}
