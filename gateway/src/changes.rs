//! The change feed as an isolate follows it: polls in the background, at most one at a time and one in
//! `FEED_POLL_MS`, and calls that wait for one because nothing has confirmed the caches for five seconds.

mod object;

use crate::cache::Entry;
use crate::known::{Store, learn, poll};
use domain::feed::{Changes, Command, Pulse};
use edge::clock::{now, sleep};
use edge::log::{Source, log};
use std::cell::Cell;
use std::rc::Rc;

/// Interval, in ms, at which a waiting call checks whether the poll has ended. A promise of one request cannot be
/// awaited in another.
const LOOK_AGAIN_MS: u64 = 5;

thread_local! {
    static PULSE: Cell<Pulse> = Cell::default();
    /// The number of polls that brought something.
    static NEWS: Cell<u32> = const { Cell::new(0) };
}

fn with_pulse<T>(act: impl FnOnce(&mut Pulse) -> T) -> T {
    let mut pulse = PULSE.get();
    let result = act(&mut pulse);
    PULSE.set(pulse);
    result
}

/// Returns whether the caches may serve this call at once. Begins a poll in the background if one is due.
pub fn look(store: &Store<'_>) -> bool {
    let every_ms = store.config.feed_poll_ms;
    if every_ms == 0 {
        return true;
    }
    let look = with_pulse(|pulse| pulse.look(store.now, every_ms));
    if look.begins {
        let (keep, config, begun_at) = (store.keep(), Rc::clone(store.config), store.now);
        store.context.wait_until(async move {
            loop {
                let answer = edge::feed::ask::<Changes>(&keep.env, &Command::Poll(poll())).await;
                // Only the last part confirms anything.
                let has_more = answer.as_ref().is_ok_and(|changes| changes.has_more);
                let is_fed = answer.as_ref().ok().map(|changes| changes.is_fed);
                let counts = has_more || with_pulse(|pulse| pulse.ended(begun_at, is_fed, now()));
                match answer {
                    Ok(changes) => {
                        if counts && learn(changes, begun_at, &config, &keep.request_id) {
                            NEWS.set(NEWS.get().wrapping_add(1));
                        }
                    }
                    Err(cause) => {
                        log(Source::Request(&keep.request_id), "the change feed cannot be read", &cause);
                    }
                }
                if !has_more {
                    return;
                }
            }
        });
    }
    look.is_confirmed
}

/// Whether the caches are confirmed, as [`look`] says it.
pub fn is_confirmed(store: &Store<'_>) -> bool {
    store.config.feed_poll_ms == 0 || PULSE.get().is_confirmed(store.now)
}

/// Tells an entry when the last poll had begun by which every change is known: what it has brought is in the caches.
/// Values of the earlier system have no version, and the feed is not told of them.
pub fn confirm<T>(entry: &mut Entry<T>, version: impl Fn(&T) -> Option<u64>) {
    let is_told = version(entry.value()).is_some_and(|version| version > 0);
    if let Some(at) = PULSE.get().current_at().filter(|_| is_told) {
        entry.confirm(at);
    }
}

/// Whether a poll failed, or was waited for in vain, and none was quick since.
pub fn is_away() -> bool {
    PULSE.get().is_failing()
}

/// Waits until the caches are confirmed, or the poll has failed or takes too long.
pub async fn confirmed() {
    while !PULSE.get().is_confirmed(now()) && with_pulse(|pulse| pulse.may_wait(now())) {
        sleep(LOOK_AGAIN_MS).await;
    }
}

/// Waits for the poll that is under way, if there is one, before a call is refused. Returns whether a poll has brought
/// something since [`news`] was `before`.
pub async fn settled(before: u32) -> bool {
    while with_pulse(|pulse| pulse.may_wait(now())) {
        sleep(LOOK_AGAIN_MS).await;
    }
    news() != before
}

/// Returns a number that grows with each poll that brings something.
pub fn news() -> u32 {
    NEWS.get()
}
