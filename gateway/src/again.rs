//! Calls that are sent again after a wait, on routes that say so.

use crate::body::is_crowded;
use crate::call::Call;
use crate::permit::is_permitted;
use domain::access::Permit;
use domain::call::again::wait_before;
use edge::clock::sleep;
use edge::log::{Source, log};

/// Returns the wait before the call is sent again after this response, in ms; `None` if it is the client's.
/// `may_be_done` says whether an upstream that was tried before may have carried it out. A call whose body takes much of the
/// isolate's memory does not wait: others need it.
pub fn wait_after(
    call: &Call,
    permit: &Permit,
    (status, may_be_done): (u16, bool),
    retry_after: Option<&str>,
) -> Option<i64> {
    let settings = &permit.route().behaviour.settings;
    let retries = call.facts.borrow().retries;
    let wait = wait_before(
        settings,
        call.head.method(),
        retries,
        (status, may_be_done),
        retry_after,
        call.now.get(),
    );
    wait.filter(|_| !is_crowded())
}

/// Waits. Returns whether the call's token may still make it then: it may have been revoked meanwhile. A client that leaves
/// during the wait ends the call, and owes nothing for it: the upstream has responded.
pub async fn wait(call: &Call, permit: &Permit, wait_ms: i64) -> bool {
    let mark = |is_sent| {
        if let Some(open) = call.open.borrow_mut().as_mut() {
            open.is_sent = is_sent;
        }
    };
    let began = call.now.get();
    mark(false);
    sleep(wait_ms.unsigned_abs()).await;
    call.facts.borrow_mut().upstream_ms += call.now.get() - began;
    let secret = call.secret.borrow().clone();
    let goes_on = match secret {
        Some(secret) => is_permitted(&secret, call).await,
        None => false,
    };
    mark(true);
    if goes_on {
        log(Source::Request(&call.arrival.request_id), "sent again", permit.route().rule.id.as_str());
        let retries = &mut call.facts.borrow_mut().retries;
        retries.count += 1;
        retries.waited_ms += wait_ms;
    }
    goes_on
}
