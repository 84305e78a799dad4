//! Explains whether a call would be allowed, with the gateway's own function.

use super::{find, propagation_of};
use crate::db::tokens as store;
use crate::db::{limits, to_json};
use crate::limiter::standing;
use crate::publish::{record_of, route_table};
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::error::ApiError;
use contract::limits::TokenLimits;
use contract::tokens::{ExplainRequest, Explanation};
use domain::access::path::RequestPath;
use domain::access::record::TokenRecord;
use domain::access::rule::Rule;
use domain::access::{self, explain as steps_of};
use domain::error::FieldError;
use domain::id::RouteId;
use domain::limit::LimitKind;
use domain::method::Method;
use domain::problem::Invalid;
use domain::route::RouteTable;
use edge::log::Source;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// `POST /api/tokens/{id}/explain`. It uses the current data in D1; `propagation` says whether KV has the
/// same.
pub async fn explain(call: &Call, asked: Asked<ExplainRequest>) -> Answer<Explanation> {
    let caller = call.caller()?;
    let db = call.db()?;
    let token = find(call, &db, caller).await?;
    let request = asked.read(call)?;
    let question = Question::of(&request)?;

    let mut published = store::published(&db, &to_json(&[&token.id])?, call.now).await?;
    let record = record_of(&published.remove(&token.id).ok_or(ApiError::NotFound)??)?;
    let table = route_table(&db, call.now, Source::Request(&call.request_id)).await?;
    let metered: BTreeSet<RouteId> = table
        .routes
        .iter()
        .filter(|route| route.settings.ai.is_some())
        .map(|route| route.id.clone())
        .collect();
    let table = table.rules();
    let propagation = propagation_of(&db, &token.id).await?;
    let mut answer = answer(&record, &table, &question, call.now, propagation);
    if answer.allowed {
        let in_force = limits::in_force(&db, &token.id).await?.ok_or(ApiError::NotFound)?;
        let TokenLimits { uses, team_uses, .. } =
            standing(&call.env, Source::Request(&call.request_id), &token.id, in_force).await;
        let costs = answer.route_id.as_ref().is_some_and(|id| metered.contains(id));
        let limited = uses.iter().chain(&team_uses).flatten().filter(|one| one.refuses(costs));
        answer = refuse(answer, limited.map(|one| one.kind).collect());
    }
    respond(answer)
}

/// Denies a call that limits refuse. The gateway names the first that is used up.
fn refuse(mut answer: Explanation, limited: Vec<LimitKind>) -> Explanation {
    if let Some(error) = limited.first().map(|kind| kind.measure().error()) {
        answer.allowed = false;
        answer.status = Some(error.status());
        answer.code = Some(error.code().to_owned());
    }
    Explanation { limited, ..answer }
}

/// A described call that has passed its checks.
struct Question {
    method: Method,
    path: RequestPath,
    client_ip: Option<IpAddr>,
}

impl Question {
    fn of(request: &ExplainRequest) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let method: Option<Method> = request.method.to_ascii_uppercase().parse().ok();
        if method.is_none() {
            errors.push(FieldError::new("method", Invalid::Method));
        }
        let path = request.path.split(['?', '#']).next().unwrap_or_default();
        let path = RequestPath::parse(path);
        if path.is_none() {
            errors.push(FieldError::new("path", Invalid::CallPath));
        }
        let client_ip = request.client_ip.as_deref().filter(|text| !text.is_empty());
        let parsed: Option<IpAddr> = client_ip.and_then(|text| text.trim().parse().ok());
        if client_ip.is_some() && parsed.is_none() {
            errors.push(FieldError::new("client_ip", Invalid::Address));
        }
        match (method, path) {
            (Some(method), Some(path)) if errors.is_empty() => Ok(Self { method, path, client_ip: parsed }),
            _ => Err(errors),
        }
    }
}

fn answer(
    record: &TokenRecord,
    table: &RouteTable<Rule>,
    question: &Question,
    now: domain::time::UnixMs,
    propagation: contract::Propagation,
) -> Explanation {
    let call = access::Call {
        method: question.method.as_str(),
        path: &question.path,
        client_ip: question.client_ip,
        now,
    };
    let steps = steps_of(record, table, &call);
    let denial = steps.iter().find_map(|step| step.denial);
    let rule = table.find(&question.path);
    let covering = rule
        .and_then(|rule| record.scopes.iter().find(|scope| scope.covers(call.method, &question.path, rule)));
    Explanation {
        allowed: denial.is_none(),
        route_id: rule.map(|rule| rule.id.clone()),
        route_path: rule.map(|rule| rule.path.as_str().to_owned()),
        scope: covering.map(ToString::to_string),
        status: denial.map(|denial| denial.error().status()),
        code: denial.map(|denial| denial.error().code().to_owned()),
        steps,
        limited: vec![],
        propagation,
    }
}
