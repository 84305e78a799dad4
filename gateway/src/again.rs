//! Calls that are sent again after a wait, on routes that say so.

use crate::call::Call;
use domain::access::Permit;
use domain::call::again::wait_before;
use edge::clock::sleep;
use edge::log::{Source, log};

/// Returns the wait before the call is sent again after this response, in ms; `None` if it is the client's.
pub fn wait_after(call: &Call, permit: &Permit, status: u16, retry_after: Option<&str>) -> Option<i64> {
    let settings = &permit.route().behaviour.settings;
    let retries = call.facts.borrow().retries;
    wait_before(settings, call.head.method(), retries, status, retry_after, call.now.get())
}

/// Waits. A client that leaves meanwhile ends the call, and owes nothing for it: the upstream has responded.
pub async fn wait(call: &Call, permit: &Permit, wait_ms: i64) {
    let mark = |is_sent| {
        if let Some(open) = call.open.borrow_mut().as_mut() {
            open.is_sent = is_sent;
        }
    };
    let began = call.now.get();
    mark(false);
    sleep(wait_ms.unsigned_abs()).await;
    mark(true);
    log(Source::Request(&call.arrival.request_id), "sent again", permit.route().rule.id.as_str());
    let mut facts = call.facts.borrow_mut();
    facts.retries.count += 1;
    facts.retries.waited_ms += wait_ms;
    facts.upstream_ms += call.now.get() - began;
}
