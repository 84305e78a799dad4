//! One call from arrival to response, in its order.

use crate::ai::{self, AiCall};
use crate::body::Body;
use crate::call::Call;
use crate::canary;
use crate::changes;
use crate::credentials;
use crate::error::{Failure, header};
use crate::exchange;
use crate::limiter::{self, derived_calls};
use crate::open::{End, Replied};
use crate::permit::{Handled, permit, present_anywhere};
use crate::preflight::preflight;
use crate::step::{Own, Pass, Step, Watch};
use crate::store::prices;
use crate::upstream::{Answer, Forward};
use domain::access::Permit;
use domain::access::derived::Derived;
use domain::ai::{Charge, UsageReader};
use domain::call::attempt::Sender;
use domain::call::plan::{Plan, check_size};
use domain::call::record::announced_length;
use domain::call::reply::{Ours, edits};
use domain::error::GatewayError;
use domain::health::Health;
use domain::limit::ledger::Ask;
use domain::limit::models::check_models;
use domain::secret::Secret;
use domain::upstream::fault::{FAULT, Fault};
use domain::upstream::headers::next_hop;
use domain::upstream::headers::response::{Edit, Returning, UPSTREAM_REQUEST_ID};
use domain::upstream::headers::search::Guarded;
use domain::upstream::headers::{LOOP_MARK, REQUEST_ID, SERVER_TIMING};
use domain::upstream::said::Listener;
use domain::usage::outcome::Outcome;
use edge::clock::sleep;
use edge::log::{Level, Source, log};
use std::cell::Cell;
use std::rc::Rc;

impl From<GatewayError> for Box<Failure> {
    fn from(error: GatewayError) -> Self {
        Box::new(error.into())
    }
}

/// Serves one call. In order: loop · preflight · token syntax · token record · decision
/// (state, expiry, client address, route, method, scope) · maintenance · limits · credential ·
/// upstream · response · usage.
pub async fn serve(call: Rc<Call>) -> Step {
    match handle(&call).await {
        Ok(Handling::Own(own)) => {
            let outcome = Outcome::of_status(own.status);
            refuse(&call, own, outcome)
        }
        Ok(Handling::Pass(answer, cut)) => pass(&call, &answer, cut),
        Err(failure) => {
            find_route(&call).await;
            if !failure.uses.is_empty() {
                call.facts.borrow_mut().uses.clone_from(&failure.uses);
            }
            refuse(&call, failure.response(&call.arrival.request_id), failure.outcome)
        }
    }
}

/// Makes the response that tells that the gateway runs.
pub fn health(request_id: &str) -> Own {
    let health = Health {
        status: "ok".into(),
        service: "gateway".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        feed: changes::is_away().then(|| "away".into()),
    };
    let headers = vec![
        header("content-type", "application/json"),
        header("cache-control", "no-store"),
        header(REQUEST_ID, request_id),
        header(SERVER_TIMING, "auth;dur=0, upstream;dur=0"),
    ];
    Own { status: 200, headers, body: serde_json::to_string(&health).unwrap_or_default() }
}

/// The response of a call that was not refused.
enum Handling {
    Own(Own),
    /// The upstream's, and the number of bytes after which it is cut.
    Pass(Box<Answer>, Option<u64>),
}

async fn handle(call: &Rc<Call>) -> Handled<Handling> {
    let head = &call.head;
    let hop = next_hop(head.header(LOOP_MARK), head.url().authority()).ok_or(GatewayError::LoopDetected)?;
    if let Some(response) = preflight(call).await? {
        return Ok(Handling::Own(response));
    }
    if exchange::is_asked_for(head) {
        return Ok(Handling::Own(Box::pin(exchange::respond(call)).await?));
    }
    if canary::is_asked_for(head) {
        return Ok(Handling::Own(Box::pin(canary::respond(call)).await?));
    }
    let (carrier, secret) = present_anywhere(call)?;
    let (permit, routes) = permit(&secret, call).await?;
    if head.is_websocket() || permit.route().behaviour.settings.retry_within_s > 0 {
        call.secret.replace(Some(secret.clone()));
    }
    let token = permit.token();
    if let Some(notice) = &permit.route().behaviour.settings.maintenance {
        return Err(Box::new(Failure::maintenance(notice)));
    }
    let fault = if token.inject_faults { injected(call).await? } else { Fault::default() };
    let mut body = Body::of(call);
    check_size(&token.limits, head, !matches!(body, Body::None))?;
    let plan = Plan::new(&permit, head, &routes.table);
    let takes_in =
        plan.takes_in || body.is_stream() && credentials::is_pool(&permit, &routes, call.now.get());
    let _held = if takes_in { body.take_in(call).await.map_err(Failure::from)? } else { None };
    let ask = ask(call, &permit, &plan, &mut body).await?;
    admit(call, &permit, secret.derived(), ask).await?;
    let presented = Guarded::new([Secret::new(secret.expose().to_owned())]);
    let sender = Sender {
        head,
        carrier,
        presented: &presented,
        request_id: &call.arrival.request_id,
        traced: call.config.traces.then_some(&call.arrival.call_id),
        hop: &hop,
        is_metered: plan.metered.is_some(),
        has_own_body: false,
    };
    let may_be_cancelled = Cell::new(token.limits.counts_calls() || token.has_budget());
    let forward = Forward {
        call,
        sender,
        routes: &routes,
        sent: Cell::new(0),
        may_be_cancelled,
        may_be_done: Cell::new(false),
    };
    let answer = forward.send(&permit, plan.second.as_ref(), &mut body).await.map_err(|failed| {
        let route = &permit.route().rule.id;
        let cause = format!("route {route}: {}", failed.cause);
        log(Source::Request(&call.arrival.request_id), "upstream call failed", &cause);
        Failure::from(failed.fault)
    })?;
    Ok(Handling::Pass(Box::new(answer), fault.cut))
}

/// Returns the fault that the call requests. The requested latency has passed by then.
async fn injected(call: &Call) -> Handled<Fault> {
    let Some(text) = call.head.header(FAULT) else { return Ok(Fault::default()) };
    let fault = Fault::parse(text).map_err(|_| GatewayError::BadFault)?;
    if fault.latency_ms > 0 {
        sleep(fault.latency_ms.into()).await;
    }
    match fault.status {
        Some(status) => Err(Box::new(Failure::injected(status))),
        None => Ok(fault),
    }
}

/// Returns the most that the call may use, and notes a metered call for its end. Refuses a model that the token may not call.
async fn ask(call: &Call, permit: &Permit, plan: &Plan, body: &mut Body) -> Handled<Ask> {
    let Some(metered) = &plan.metered else { return Ok(Ask::default()) };
    let token = permit.token();
    let prices = prices(&call.store()).await;
    let mut asked = if plan.reads_ask { body.read_ask(metered, &call.head) } else { None };
    if call.head.is_websocket()
        && let Some(ask) = asked.as_mut()
    {
        ask.read_query(call.head.url().query());
    }
    if plan.reads_ask && !token.limits.models.is_empty() && body.is_crowded_out(call) {
        return Err(GatewayError::LimitsUnavailable.into());
    }
    check_models(&token.limits.models, asked.as_ref())?;
    let most =
        if token.has_budget() { ai::most(asked.as_ref(), &token.limits, &prices) } else { Ask::default() };
    if let Some(open) = call.open.borrow_mut().as_mut() {
        open.ai = Some(AiCall { at: metered.at, prices, model: asked.and_then(|ask| ask.model) });
    }
    Ok(most)
}

/// Looks the route of a refused call up, if a browser is to be told by CORS whether it may read the refusal.
async fn find_route(call: &Call) {
    if call.head.header("origin").is_none() || call.facts.borrow().route.is_some() {
        return;
    }
    let routes = call.store().routes().await.ok().flatten();
    let route = routes.and_then(|routes| routes.table.find(call.head.url().path()).cloned());
    call.facts.borrow_mut().route = route;
}

/// Has the call counted, or refused.
async fn admit(call: &Call, permit: &Permit, derived: Option<&Derived>, ask: Ask) -> Handled<()> {
    let counted = match derived {
        Some(derived) => {
            Box::pin(derived_calls::take(permit, derived, &call.arrival.call_id, &call.store())).await?
        }
        None => None,
    };
    let admission = if let Some(admission) = limiter::take_leased(permit, ask, call.now.get()) {
        admission
    } else {
        limiter::take(permit, &call.arrival.call_id, ask, &call.store()).await?
    };
    if let Some(counted) = counted {
        counted.make();
    }
    call.facts.borrow_mut().uses = admission.uses;
    if let Some(open) = call.open.borrow_mut().as_mut() {
        open.reservation = admission.reservation;
    }
    Ok(())
}

/// Ends a call with the gateway's own response.
fn refuse(call: &Call, mut own: Own, outcome: Outcome) -> Step {
    let is_unsent = call.open.borrow().as_ref().is_some_and(|open| !open.is_sent);
    if is_unsent {
        call.facts.borrow_mut().auth_ms = call.now.get() - call.arrival.at;
    }
    own.headers.extend(ours(call, None, &[]).into_iter().filter_map(|edit| match edit {
        Edit::Set(name, value) | Edit::Append(name, value) => Some((name, value)),
        Edit::Delete(_) => None,
    }));
    note(call, own.status, outcome);
    call.close(End::Refused { status: own.status, outcome });
    Step::Own(own)
}

/// Passes an upstream's response on. A call whose end does not matter ends here.
fn pass(call: &Call, answer: &Answer, cut: Option<u64>) -> Step {
    let status = answer.status;
    if !answer.is_socket && !(200..=599).contains(&status) {
        let route = &answer.permit.route().rule.id;
        let cause = format!("route {route}: {status}");
        log(Source::Request(&call.arrival.request_id), "status cannot be passed on", &cause);
        let failure = Failure::status_unknown(status);
        return refuse(call, failure.response(&call.arrival.request_id), failure.outcome);
    }
    let edits = answer.returning(call, |returning| ours(call, Some(returning), &answer.headers));
    {
        let mut facts = call.facts.borrow_mut();
        facts.upstream_request_id = upstream_request_id(&edits);
        facts.credential.clone_from(&answer.member);
    }
    let watch = watch(call, answer, cut);
    note(call, status, Outcome::of_status(status));
    if watch == Watch::Nothing {
        call.close(End::Begun);
    }
    Step::Pass(Pass { attempt: answer.number, watch, cut, edits })
}

/// Decides how the response is watched, and notes what its end needs.
fn watch(call: &Call, answer: &Answer, cut: Option<u64>) -> Watch {
    let Answer { status, headers, is_socket, .. } = answer;
    let get = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let mut open = call.open.borrow_mut();
    let Some(open) = open.as_mut() else { return Watch::Nothing };
    let is_success = *is_socket || (200..=299).contains(status);
    let tried = &call.facts.borrow().tried;
    let charge = open.ai.as_ref().map_or(Charge::Nothing, |ai| ai.at.charge(tried, is_success));
    let length = announced_length(call.head.method(), *status, get("content-length").as_deref());
    open.replied = Some(Replied { status: *status, length, charge });
    let reads = charge == Charge::ByResponse;
    if *is_socket {
        return Watch::Socket { is_read: reads };
    }
    open.reader = if reads { UsageReader::of(get) } else { None };
    let keeps = *status >= 400 && answer.permit.route().behaviour.settings.keep_errors;
    open.listener = keeps.then(|| Box::new(Listener::new(answer.secrets(&call.head))));
    if open.reader.is_some() {
        Watch::Pieces
    } else if open.listener.is_some() {
        Watch::Beginning
    } else if cut.is_some() || open.reservation.is_some() {
        Watch::End
    } else {
        Watch::Nothing
    }
}

/// Returns the changes to the headers of the response. Logs the names of those that hold the credential.
fn ours(call: &Call, returning: Option<&Returning>, headers: &[(String, String)]) -> Vec<Edit> {
    let facts = call.facts.borrow();
    let route = facts.route.as_ref();
    let listed =
        route.map(|route| route.behaviour.cors_origins.as_slice()).filter(|listed| !listed.is_empty());
    let ours = Ours {
        request_id: &call.arrival.request_id,
        auth_ms: facts.auth_ms - facts.upload_ms,
        upstream_ms: facts.upstream_ms,
        uses: &facts.uses,
        now: call.now.get(),
        cors: call.head.header("origin").zip(listed),
    };
    let made = edits(returning, headers, &ours);
    if !made.withheld.is_empty() {
        let route = route.map_or("", |route| route.rule.id.as_str());
        let cause = format!("route {route}: {}", made.withheld.join(", "));
        log(Source::Request(ours.request_id), "headers withheld: they hold the credential", &cause);
    }
    made.edits
}

/// Returns the upstream's own id of the call, as the client is told it.
fn upstream_request_id(edits: &[Edit]) -> Option<String> {
    edits.iter().find_map(|edit| match edit {
        Edit::Append(name, value) if name == UPSTREAM_REQUEST_ID => Some(value.clone()),
        _ => None,
    })
}

/// Logs the call, when its response starts.
fn note(call: &Call, status: u16, outcome: Outcome) {
    if !call.config.log_calls || canary::is_asked_for(&call.head) {
        return;
    }
    let facts = call.facts.borrow();
    let token = facts.token.as_deref();
    let line = edge::log::Call {
        level: Level::of_success(outcome == Outcome::Ok),
        event: "call",
        request_id: &call.arrival.request_id,
        call_id: Some(&call.arrival.call_id),
        method: call.head.method(),
        path: call.head.url().path().as_str(),
        status,
        outcome: Some(outcome.as_str()),
        token_id: token.map(|token| token.id.as_str()),
        team: token.map(|token| token.team.as_str()),
        route_id: facts.route.as_ref().map(|route| route.rule.id.as_str()),
        upstream_request_id: facts.upstream_request_id.as_deref(),
        feed: facts.is_unconfirmed.then_some("unconfirmed"),
        auth_ms: Some(facts.auth_ms - facts.upload_ms),
        upstream_ms: Some(facts.upstream_ms),
        ms: None,
    };
    line.log();
}
