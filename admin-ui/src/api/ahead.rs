//! The call that is sent before the page is there that needs its response.

use super::error::Reason;
use super::pass::Pass;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use std::cell::RefCell;
use yew::platform::spawn_local;

/// A page that comes later asks again.
const KEPT_MS: f64 = 10_000.0;

pub type Reply = Result<(u16, String), Reason>;

struct Ahead {
    session: Option<Pass>,
    url: String,
    begun_at: f64,
    reply: Shared<LocalBoxFuture<'static, Reply>>,
}

thread_local! {
    static AHEAD: RefCell<Option<Ahead>> = const { RefCell::new(None) };
}

/// Sends a call. Only one is kept.
pub fn begin(session: Option<Pass>, url: String, reply: LocalBoxFuture<'static, Reply>) {
    let reply = reply.shared();
    spawn_local(reply.clone().map(drop));
    AHEAD.set(Some(Ahead { session, url, begun_at: js_sys::Date::now(), reply }));
}

/// Takes the call to this address, if it was sent a moment ago in the same session.
pub fn take(session: Option<&Pass>, url: &str) -> Option<Shared<LocalBoxFuture<'static, Reply>>> {
    AHEAD.with_borrow_mut(|ahead| {
        let ahead = ahead.take_if(|ahead| ahead.session.as_ref() == session && ahead.url == url)?;
        (js_sys::Date::now() - ahead.begun_at < KEPT_MS).then_some(ahead.reply)
    })
}
