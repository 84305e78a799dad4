//! One call, from its first to its last event, and how JavaScript drives it.
//!
//! `serve` is one asynchronous function. Where it needs the upstream it leaves a [`Step`] for
//! JavaScript and waits for [`Call::resume`]. A call that finds everything in the isolate's caches reaches its next step
//! the first time that it is polled, so that no promise and no task of wasm is needed: [`Call::advance`] returns the
//! step at once. Otherwise it returns a promise of the step.

use crate::config::Config;
use crate::context::Context;
use crate::open::{End, Open};
use crate::step::Step;
use crate::store::Store;
use domain::access::derived::Bearer;
use domain::call::head::Head;
use domain::call::record::{Arrival, Facts};
use domain::time::UnixMs;
use edge::clock::now;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Wake, Waker};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;
use web_sys::Request;
use worker::Env;

/// A call and everything that belongs to it.
pub struct Call {
    /// Number of the call, by which JavaScript names it.
    pub id: u32,
    pub request: Request,
    pub env: Env,
    pub context: Rc<Context>,
    pub config: Rc<Config>,
    pub head: Head,
    pub arrival: Arrival,
    /// Whether the request has a body.
    pub has_body: bool,
    pub facts: RefCell<Facts>,
    /// The part that ends exactly once. `None` when the call has been recorded and settled.
    pub open: RefCell<Option<Open>>,
    /// The body to be sent, if it is not the client's own stream.
    pub body: RefCell<Option<JsValue>>,
    /// Whether the token is in the query, which only some routes allow.
    pub has_key_in_query: Cell<bool>,
    /// The token of a socket, which is looked up again while the socket lives.
    pub secret: RefCell<Option<Bearer>>,
    /// The time of the last event.
    pub now: Cell<UnixMs>,
    work: RefCell<Option<Work>>,
    step: RefCell<Option<Step>>,
    sent: RefCell<Option<Sent>>,
    relay: Arc<Relay>,
}

/// Wakes whoever polls the call now. A call is polled at once and later in a task, and some futures keep the waker
/// that they were first polled with.
#[derive(Debug, Default)]
struct Relay(Mutex<Option<Waker>>);

impl Relay {
    fn set(&self, waker: Waker) {
        if let Ok(mut target) = self.0.lock() {
            *target = Some(waker);
        }
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        if let Ok(mut target) = self.0.lock()
            && let Some(waker) = target.take()
        {
            waker.wake();
        }
    }
}

type Work = Pin<Box<dyn Future<Output = Step>>>;

/// The result of a request to an upstream.
#[derive(Debug)]
pub enum Sent {
    /// The status and the headers of the response, names in lower case and each `Set-Cookie` by itself.
    Response { status: u16, headers: Vec<(String, String)>, is_socket: bool },
    /// No first byte in time.
    Timeout,
    /// The platform's reason why there is no response.
    Failed(String),
}

thread_local!(static CALLS: RefCell<HashMap<u32, Rc<Call>>> = RefCell::default());

/// Returns a call that has not ended.
pub fn find(id: u32) -> Option<Rc<Call>> {
    CALLS.with_borrow(|calls| calls.get(&id).cloned())
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The platform's part of a new call.
#[derive(Debug)]
pub struct Arrived {
    pub id: u32,
    pub request: Request,
    pub env: Env,
    pub context: Context,
    pub has_body: bool,
}

impl Call {
    /// Begins a call, whose whole work is `serve`, and returns its first step, or a promise of it.
    pub fn begin<F: Future<Output = Step> + 'static>(
        arrived: Arrived,
        config: Rc<Config>,
        head: Head,
        arrival: Arrival,
        serve: impl FnOnce(Rc<Self>) -> F,
    ) -> JsValue {
        let Arrived { id, request, env, context, has_body } = arrived;
        let call = Rc::new(Self {
            id,
            request,
            env,
            context: Rc::new(context),
            config,
            head,
            has_body,
            now: Cell::new(arrival.at),
            arrival,
            facts: RefCell::default(),
            open: RefCell::new(Some(Open::default())),
            body: RefCell::default(),
            has_key_in_query: Cell::default(),
            secret: RefCell::default(),
            work: RefCell::default(),
            step: RefCell::default(),
            sent: RefCell::default(),
            relay: Arc::default(),
        });
        CALLS.with_borrow_mut(|calls| calls.insert(id, Rc::clone(&call)));
        let work = serve(Rc::clone(&call));
        call.work.replace(Some(Box::pin(work)));
        Self::advance(&call)
    }

    /// Goes on until the next step. Returns it as text, or a promise of it if the platform must be waited for.
    fn advance(call: &Rc<Self>) -> JsValue {
        match call.poll() {
            Poll::Ready(step) => JsValue::from_str(&step),
            Poll::Pending => {
                let call = Rc::clone(call);
                let step = poll_fn(move |context| {
                    call.relay.set(context.waker().clone());
                    call.now.set(now());
                    call.poll().map(|step| Ok(step.into()))
                });
                future_to_promise(step).into()
            }
        }
    }

    fn poll(&self) -> Poll<String> {
        let Some(mut work) = self.work.take() else { return Poll::Ready(Step::Gone.text()) };
        let waker = Waker::from(Arc::clone(&self.relay));
        let done = work.as_mut().poll(&mut task::Context::from_waker(&waker));
        if let Poll::Ready(step) = done {
            return Poll::Ready(step.text());
        }
        self.work.replace(Some(work));
        self.step.take().map_or(Poll::Pending, |step| Poll::Ready(step.text()))
    }

    /// Sends a request to an upstream: leaves the step for JavaScript and waits for what comes of it.
    pub async fn send(&self, step: Step) -> Sent {
        self.step.replace(Some(step));
        poll_fn(|_| self.sent.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Takes what came of the request that was sent, and goes on.
    pub fn resume(call: &Rc<Self>, sent: Sent, now: UnixMs) -> JsValue {
        call.now.set(now);
        call.sent.replace(Some(sent));
        Self::advance(call)
    }

    /// Ends the call because the client has gone. Whatever it was waiting for is dropped here, in its own context.
    pub fn gone(&self, now: UnixMs) {
        self.now.set(now);
        drop(self.work.take());
        self.close(End::Gone);
        Arc::clone(&self.relay).wake();
    }

    /// Records and settles the call. It does so once, whoever comes first; later ends change nothing.
    pub fn close(&self, end: End) {
        let open = self.open.borrow_mut().take();
        CALLS.with_borrow_mut(|calls| calls.remove(&self.id));
        if let Some(open) = open {
            open.close(end, &self.head, &self.arrival, &self.facts.borrow(), &self.store());
        }
    }

    /// Returns the store as this call uses it.
    pub fn store(&self) -> Store<'_> {
        Store {
            env: &self.env,
            context: &self.context,
            config: &self.config,
            request_id: &self.arrival.request_id,
            now: self.now.get(),
        }
    }
}
