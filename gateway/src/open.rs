//! The part of a call that must end exactly once: its usage event and its reservation.

use crate::ai::{self, AiCall};
use crate::limiter::Reservation;
use crate::meter;
use crate::store::Store;
use domain::ai::{Charge, UsageReader};
use domain::call::head::Head;
use domain::call::record::{self, Arrival, CLIENT_GONE, Ending, Facts};
use domain::limit::ledger::Settlement;
use domain::upstream::said::Listener;
use domain::usage::AiUsage;
use domain::usage::outcome::Outcome;

/// An open call. [`Call::close`](crate::call::Call::close) is the only way to its event and its settlement.
#[derive(Debug, Default)]
pub struct Open {
    /// The amount held for the call.
    pub reservation: Option<Reservation>,
    /// The call as an AI's, if it is metered.
    pub ai: Option<AiCall>,
    /// Whether a request has been sent to an upstream.
    pub is_sent: bool,
    /// The response that the client gets.
    pub replied: Option<Replied>,
    /// Reads the response's usage.
    pub reader: Option<UsageReader>,
    /// Listens to what the vendor says about an error.
    pub listener: Option<Box<Listener>>,
    /// Usage that the messages of a socket have told so far.
    pub told: Option<AiUsage>,
}

/// The response that the client gets from an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Replied {
    pub status: u16,
    /// The announced length of its body.
    pub length: Option<u64>,
    pub charge: Charge,
}

/// The ways in which a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The gateway responded itself.
    Refused { status: u16, outcome: Outcome },
    /// The response has begun, and its end does not matter.
    Begun,
    /// The client hung up.
    Gone,
    /// The response or the socket has ended. `outcome` is absent if it did so by itself; bytes are those that were
    /// counted, from the client and to it.
    Ended { outcome: Option<Outcome>, bytes_in: Option<u64>, bytes_out: Option<u64> },
}

impl Open {
    /// Reads a piece of the response; without a reader, a message of a socket, each of which tells what it used.
    pub fn read(&mut self, piece: &[u8]) {
        if let Some(listener) = &mut self.listener {
            listener.hear(piece);
        } else if let Some(reader) = &mut self.reader {
            reader.feed(piece);
        } else if let Some(mut reader) = UsageReader::new("application/json") {
            reader.feed(piece);
            let usage = reader.finish(true);
            if usage.completion_tokens.is_some() {
                self.told = Some(self.told.take().unwrap_or_default().and(usage));
            }
        }
    }

    /// Records and settles the call.
    pub fn close(self, end: End, head: &Head, arrival: &Arrival, facts: &Facts, store: &Store<'_>) {
        let charge = match (end, self.replied) {
            // A call that was sent may be billed, however early its client left.
            (End::Gone, None) if self.is_sent => Charge::Unknown,
            (_, Some(replied)) => replied.charge,
            (_, None) => self.ai.as_ref().map_or(Charge::Nothing, |ai| ai.at.charge(&facts.tried, false)),
        };
        let is_whole = matches!(end, End::Ended { outcome: None, .. });
        let usage = self.reader.map(|reader| reader.finish(is_whole)).or(self.told).unwrap_or_default();
        let (ai, settlement) = match self.ai {
            Some(ai) if charge != Charge::Nothing => {
                let used = ai::priced(usage, ai);
                let settlement = ai::settlement(&used);
                (Some(used), settlement)
            }
            // The model's, so that its errors are counted, too.
            ai => (ai.filter(|_| self.replied.is_some()).map(ai::free), Settlement::NOTHING),
        };
        let replied = self.replied.map(|replied| replied.status);
        let length = self.replied.and_then(|replied| replied.length);
        let said = Outcome::of_status(replied.unwrap_or(0));
        let (outcome, bytes_in, bytes_out) = match end {
            End::Refused { outcome, .. } => (outcome, None, None),
            End::Begun => (said, None, length),
            // Nobody knows how much of the announced body has arrived.
            End::Gone => (Outcome::ClientGone, None, replied.map_or(Some(0), |_| None)),
            End::Ended { outcome: None, bytes_in, bytes_out } => (said, bytes_in, bytes_out.or(length)),
            End::Ended { outcome: Some(outcome), bytes_in, bytes_out } => (outcome, bytes_in, bytes_out),
        };
        let is_seen = !matches!(end, End::Refused { .. } | End::Begun);
        let ending = Ending {
            status: if let End::Refused { status, .. } = end {
                status
            } else {
                replied.unwrap_or(CLIENT_GONE)
            },
            bytes_out,
            bytes_in,
            duration_ms: (is_seen && replied.is_some()).then(|| store.now - arrival.at),
            ai,
            error: self.listener.and_then(|listener| listener.said()),
        };
        let event = record::event(head, arrival, facts, outcome, ending);
        if let Some(reservation) = self.reservation {
            reservation.settle(settlement, &store.keep());
        }
        if let Some(event) = event {
            meter::record(event, store, end == End::Gone);
        }
    }
}
