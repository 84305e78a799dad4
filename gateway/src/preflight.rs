//! CORS preflights, which carry no token.

use crate::call::Call;
use crate::changes;
use crate::error::header;
use crate::permit::Handled;
use crate::step::Own;
use crate::store::Store;
use domain::error::GatewayError;
use domain::route::Route;
use domain::upstream::cors::{self, PREFLIGHT_MAX_AGE_S};
use futures_util::future::join;
use std::sync::Arc;

/// Answers a CORS preflight if the route lists the origin.
pub async fn preflight(call: &Call) -> Handled<Option<Own>> {
    let head = &call.head;
    if head.method() != "OPTIONS" {
        return Ok(None);
    }
    let wanted = head.header("access-control-request-method");
    let (Some(origin), Some(wanted)) = (head.header("origin"), wanted) else { return Ok(None) };
    let listed = async || -> Handled<Option<Arc<Route>>> {
        let routes = call.store().routes().await.map_err(|e| GatewayError::from(&e))?;
        let route = routes.as_ref().and_then(|routes| routes.table.find(head.url().path()));
        Ok(route.filter(|route| cors::is_listed(&route.behaviour.cors_origins, origin)).cloned())
    };
    let news = changes::news();
    let again = async || {
        let store = call.store();
        join(store.refresh_routes(call.arrival.at), changes::settled(news)).await != (false, false)
    };
    let route = match listed().await? {
        None if again().await => listed().await?,
        found => found,
    };
    let Some(route) = route else {
        Store::note_routes_refusal();
        return Ok(None);
    };
    let methods = route.rule.methods_listed();
    let methods = if methods.is_empty() { wanted } else { &methods };
    let mut headers = vec![
        header("access-control-allow-methods", methods),
        header("access-control-max-age", &PREFLIGHT_MAX_AGE_S.to_string()),
    ];
    if let Some(names) = head.header("access-control-request-headers") {
        headers.push(header("access-control-allow-headers", names));
    }
    call.facts.borrow_mut().route = Some(route);
    Ok(Some(Own { status: 204, headers, body: String::new() }))
}
