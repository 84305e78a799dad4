//! The call to the upstream: attempts at one or two of them, planned by `domain` and sent by JavaScript.

use crate::again::{wait, wait_after};
use crate::body::Body;
use crate::call::{Call, Sent};
use crate::credentials;
use crate::error::AttemptError;
use crate::pool::rests;
use crate::routes::{Ready, ReadyPool, Routes};
use crate::signing::{self, Prepared};
use crate::step::Step;
use domain::access::Permit;
use domain::ai::Upstream;
use domain::ai::renamed::names_of;
use domain::call::attempt::{AttemptFault, Sender};
use domain::call::failover::{Attempted, is_away, is_refusal, takes_second};
use domain::call::head::Head;
use domain::call::outgoing::{Attached, issued};
use domain::call::pool::{keeps_earlier, refusal};
use domain::credential::CredentialEdit;
use domain::error::GatewayError;
use domain::id::RouteId;
use domain::secret::Secret;
use domain::upstream::breaker::Breaker;
use domain::upstream::headers::response::Returning;
use domain::upstream::headers::search::Guarded;
use domain::upstream::said::secrets_of;
use edge::log::{Source, log};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// An upstream's response, and everything required to pass it on.
#[derive(Debug)]
pub struct Answer {
    /// Number of the request that it responds to.
    pub number: u8,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub is_socket: bool,
    /// The permit for the upstream that responded.
    pub permit: Permit,
    /// The address that was called, without the credential.
    sent_to: String,
    credential: Option<Rc<Ready>>,
    /// The name of the credential that served, if it is one of a pool.
    pub member: Option<Rc<str>>,
    /// The secrets that went with the call, if some were made for it alone: a fetched token, a signature.
    issued: Option<Guarded>,
}

/// The upstreams of a permitted call.
#[derive(Debug)]
pub struct Forward<'a> {
    pub call: &'a Call,
    pub sender: Sender<'a>,
    pub routes: &'a Rc<Routes>,
    /// Number of requests sent so far.
    pub sent: Cell<u8>,
    /// Whether a request may have to end before the call's own end: the call may go to a second upstream, or its end may
    /// wait for a counter.
    pub may_be_cancelled: Cell<bool>,
    /// Whether an upstream that was away may have carried the call out.
    pub may_be_done: Cell<bool>,
}

impl Forward<'_> {
    /// Sends a permitted call on, and again after a wait if the route says so.
    ///
    /// # Errors
    /// 404 if no URL can be built, 413 if a body cannot be signed, 502 if the upstream cannot be reached or
    /// its credential cannot be attached, 504 if its first byte does not arrive within the route's time.
    pub async fn send(
        &self,
        permit: &Permit,
        second: Option<&Permit>,
        body: &mut Body,
    ) -> Result<Answer, AttemptError> {
        loop {
            let answer = self.send_once(permit, second, body).await?;
            if permit.route().behaviour.settings.retry_within_s == 0 || !body.can_repeat() {
                return Ok(answer);
            }
            let (status, retry_after) = (answer.status, answer.header("retry-after"));
            let came = (status, self.may_be_done.get());
            let Some(wait_ms) = wait_after(self.call, permit, came, retry_after) else { return Ok(answer) };
            if !Box::pin(wait(self.call, permit, wait_ms)).await {
                return Ok(answer);
            }
        }
    }

    /// Calls the first upstream, and, if that is away or refuses and the route says so, the `second` one, if there is one
    /// and the body can be sent again.
    async fn send_once(
        &self,
        permit: &Permit,
        second: Option<&Permit>,
        body: &mut Body,
    ) -> Result<Answer, AttemptError> {
        let Some(second) = second.filter(|_| body.can_repeat()) else {
            return self.attempt(permit, Upstream::First, body).await;
        };
        self.may_be_cancelled.set(true);
        let id = &permit.route().rule.id;
        if !breaker(id, |breaker| breaker.admits(self.call.now.get())) {
            return self.attempt_second(second, body).await;
        }
        let first = self.attempt(permit, Upstream::First, body).await;
        let was = attempted(&first);
        let is_away = is_away(was);
        breaker(id, |breaker| breaker.report(!is_away, self.call.now.get()));
        let failover = permit.route().behaviour.settings.failover.as_ref();
        let may_refuse = failover.is_some_and(|failover| failover.on_refusal);
        let is_sent_on = is_away || (may_refuse && is_refusal(was));
        if !is_sent_on {
            return first;
        }
        // What refuses has not carried it out.
        self.may_be_done.set(self.may_be_done.get() || is_away);
        self.log("second upstream tried", &format!("route {id}"));
        let other = self.attempt_second(second, body).await;
        if takes_second(was, attempted(&other)) { other } else { first }
    }

    /// Calls the second upstream, with the model under the name that it has there.
    async fn attempt_second(&self, second: &Permit, body: &mut Body) -> Result<Answer, AttemptError> {
        let mut renamed = names_of(second).and_then(|renames| body.renamed(&self.call.head, renames));
        self.attempt(second, Upstream::Second, renamed.as_mut().unwrap_or(body)).await
    }

    /// Calls one upstream with its credential, or with those of its pool.
    async fn attempt(
        &self,
        permit: &Permit,
        upstream: Upstream,
        body: &mut Body,
    ) -> Result<Answer, AttemptError> {
        let credential = credentials::for_call(permit, self.routes, &self.call.store())
            .await
            .map_err(|error| AttemptError::not_sent(error, "its credential cannot be opened"))?;
        match credential.as_deref().and_then(|ready| ready.pool.as_deref()) {
            Some(pool) => Box::pin(self.attempt_pool(permit, upstream, body, pool)).await,
            None => self.attempt_with(permit, upstream, body, credential).await,
        }
    }

    /// Calls one upstream with one credential of its pool after the other, until none is refused. The body must be held
    /// for that.
    async fn attempt_pool(
        &self,
        permit: &Permit,
        upstream: Upstream,
        body: &mut Body,
        pool: &ReadyPool,
    ) -> Result<Answer, AttemptError> {
        let call = self.call;
        let mut tried = Vec::new();
        let mut kept: Option<Result<Answer, AttemptError>> = None;
        loop {
            let now = call.now.get();
            let chosen = rests(permit, pool, now, |rests| rests.choose(pool.in_turn, &tried, now));
            let Some((at, (name, ready))) = chosen.and_then(|at| Some((at, pool.members.get(at)?))) else {
                break;
            };
            tried.push(at);
            let mut result = self.attempt_with(permit, upstream, body, Some(Rc::clone(ready))).await;
            let was = attempted(&result);
            let Some(status) = refusal(was) else {
                if let Ok(answer) = &mut result {
                    answer.member = Some(Rc::clone(name));
                    rests(permit, pool, now, |rests| rests.served(at, now));
                }
                return result;
            };
            let later = call.now.get();
            let retry_after = result.as_ref().ok().and_then(|answer| answer.header("retry-after"));
            rests(permit, pool, later, |rests| rests.refused(at, status, retry_after, later));
            call.facts.borrow_mut().refused.push((Rc::clone(name), status));
            self.log("credential refused", &format!("route {}: {name}: {status}", permit.origin().rule.id));
            if !kept.as_ref().is_some_and(|earlier| keeps_earlier(attempted(earlier), was)) {
                kept = Some(result);
            }
            // Nothing was sent if there was no token.
            if was.is_ok() && !body.can_repeat() {
                break;
            }
        }
        let is_empty =
            || Err(AttemptError::not_sent(GatewayError::CredentialUnavailable, "its pool is empty"));
        kept.unwrap_or_else(is_empty)
    }

    /// Calls one upstream once, or twice if it refuses a bearer token that was fetched earlier.
    async fn attempt_with(
        &self,
        permit: &Permit,
        upstream: Upstream,
        body: &mut Body,
        credential: Option<Rc<Ready>>,
    ) -> Result<Answer, AttemptError> {
        let call = self.call;
        let edit = credential.as_deref().map(|ready| &ready.edit);
        let prepared = signing::prepare(edit, body, call).await?;
        let body = prepared.body.as_ref().unwrap_or(body);
        let mut is_again = false;
        loop {
            let token = match edit {
                Some(CredentialEdit::FetchToken(grant)) => Some(
                    edge::oauth::token(grant)
                        .await
                        .map_err(|why| AttemptError::not_sent(GatewayError::CredentialUnavailable, &why))?,
                ),
                _ => None,
            };
            let attached = Attached::of(edit, token.as_ref());
            let (step, sent_to, signature) = self.request(permit, &prepared, body, attached)?;
            if let Some(CredentialEdit::FetchToken(grant)) = edit
                && let Some(refresh) = edge::oauth::refresh_ahead(grant)
            {
                call.context.wait_until(refresh);
            }
            let response = self.carry_out(step, upstream, permit).await;
            let (status, headers, is_socket) = response.map_err(|fault| blame(fault, body))?;
            if status == 401
                && let (Some(CredentialEdit::FetchToken(grant)), Some(token)) = (edit, &token)
            {
                edge::oauth::forget(grant, token);
                if !std::mem::replace(&mut is_again, true) && body.can_repeat() {
                    continue;
                }
            }
            let lasting = credential.as_deref().map(|ready| &ready.guarded);
            let issued = issued(token.as_ref(), signature);
            let issued = (!issued.is_empty()).then(|| lasting.cloned().unwrap_or_default().and(issued));
            let number = self.sent.get();
            let permit = permit.clone();
            return Ok(Answer {
                number,
                status,
                headers,
                is_socket,
                permit,
                sent_to,
                credential,
                member: None,
                issued,
            });
        }
    }

    /// Makes the step that sends the request, with the address without the credential and the signature, if one was
    /// made.
    fn request(
        &self,
        permit: &Permit,
        prepared: &Prepared,
        body: &Body,
        attached: Attached<'_>,
    ) -> Result<(Step, String, Option<Secret>), AttemptError> {
        let call = self.call;
        let has_own_body = !matches!(body, Body::None | Body::Stream);
        let sender = Sender { has_own_body, ..self.sender };
        let mut request = sender
            .request(permit)
            .map_err(|why| AttemptError::not_sent(GatewayError::RouteNotFound, &why))?;
        prepared.edit(&mut request);
        let sent_to = request.url.clone();
        let method = call.head.method();
        let signature = request.attach(method, attached, &prepared.payload, call.now.get());
        let (source, held) = body.source(call);
        call.body.replace(held);
        let timeout_ms = permit.route().behaviour.timeout_ms;
        Ok((
            Step::send(&request, method, source, timeout_ms, self.may_be_cancelled.get()),
            sent_to,
            signature,
        ))
    }

    /// Has the request sent, and notes what happened.
    async fn carry_out(
        &self,
        step: Step,
        upstream: Upstream,
        permit: &Permit,
    ) -> Result<(u16, Vec<(String, String)>, bool), AttemptError> {
        let call = self.call;
        if let Some(open) = call.open.borrow_mut().as_mut() {
            open.is_sent = true;
        }
        let began = call.now.get();
        if self.sent.replace(self.sent.get() + 1) == 0 {
            call.facts.borrow_mut().auth_ms = began - call.arrival.at;
        }
        let sent = call.send(step).await;
        let mut facts = call.facts.borrow_mut();
        facts.upstream_ms += call.now.get() - began;
        match sent {
            Sent::Response { status, headers, is_socket } => {
                facts.tried.answered = Some(upstream);
                Ok((status, headers, is_socket))
            }
            Sent::Timeout => {
                facts.tried.timed_out.push(upstream);
                let cause = format!("no first byte within {} ms", permit.route().behaviour.timeout_ms);
                Err(AttemptError::new(AttemptFault::Timeout, &cause))
            }
            Sent::Failed(cause) => Err(AttemptError::new(AttemptFault::Unreachable, &cause)),
        }
    }

    fn log(&self, what: &str, cause: &str) {
        log(Source::Request(&self.call.arrival.request_id), what, cause);
    }
}

/// Returns the status of an attempt, or the reason why there is none.
fn attempted(result: &Result<Answer, AttemptError>) -> Attempted {
    match result {
        Ok(answer) => Ok(answer.status),
        Err(error) => Err(error.fault),
    }
}

/// Blames the client if its body's framing broke on the way.
fn blame(error: AttemptError, body: &Body) -> AttemptError {
    match body {
        Body::Piped { broken, .. } => broken.get().map_or(error, signing::bad_chunks),
        _ => error,
    }
}

/// Uses the route's breaker, which the isolate's calls share.
fn breaker<T>(route: &RouteId, with: impl FnOnce(&mut Breaker) -> T) -> T {
    thread_local!(static BREAKERS: RefCell<HashMap<RouteId, Breaker>> = RefCell::default());
    BREAKERS.with_borrow_mut(|breakers| with(breakers.entry(route.clone()).or_default()))
}

impl Answer {
    /// Returns the first value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the secrets that the vendor may echo: those of the call's credential and of its own headers.
    pub fn secrets(&self, head: &Head) -> Guarded {
        let credential = self.credential.as_deref().map(|ready| &ready.guarded);
        self.issued.as_ref().or(credential).cloned().unwrap_or_default().and(secrets_of(head))
    }

    /// Calls `with` with the facts that decide on the response's headers.
    pub fn returning<T>(&self, call: &Call, with: impl FnOnce(&Returning) -> T) -> T {
        let none = Guarded::default();
        let credential = self.credential.as_deref();
        with(&Returning {
            mount: self.permit.mount(),
            sent_to: &self.sent_to,
            gateway: &call.head.url().origin(),
            request_id: &call.arrival.request_id,
            guarded: self.issued.as_ref().or(credential.map(|ready| &ready.guarded)).unwrap_or(&none),
            parameter: match credential.map(|ready| &ready.edit) {
                Some(CredentialEdit::SetQuery { parameter, .. }) => Some(parameter),
                _ => None,
            },
        })
    }
}
