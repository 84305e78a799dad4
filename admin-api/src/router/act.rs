//! Requests that a handler makes for its own caller.

use super::TABLE;
use crate::error::Failure;
use crate::request::{Call, etag};
use serde_json::Value;
use std::rc::Rc;
use worker::{Headers, Method, Request, RequestInit};

/// One request that a handler makes for its own caller.
#[derive(Debug)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub body: Option<Value>,
    /// The version that it names in `If-Match`.
    pub version: Option<u64>,
}

/// Calls another endpoint as the same caller, as a step of applying a configuration. Returns status and body.
pub async fn act(of: &Call, ask: &Ask) -> Result<(u16, Value), Failure> {
    let headers = Headers::new();
    if let Some(version) = ask.version {
        headers.set("if-match", &etag(version))?;
    }
    if let Some(client_ip) = of.client_ip() {
        headers.set("cf-connecting-ip", &client_ip)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::from(ask.method.to_owned())).with_headers(headers);
    let url = of.url.join(&ask.path).map_err(|error| Failure::Internal(error.to_string()))?;
    let request = Request::new_with_init(url.as_str(), &init)?;
    let (env, context, config) = (of.env.clone(), Rc::clone(&of.context), Rc::clone(&of.config));
    let mut call = Call::new(request, env, context, config, of.request_id.clone())?;
    let table = TABLE.with(Clone::clone).map_err(Failure::Internal)?;
    let (route, parameters) = table.find(ask.method, call.url.path())?;
    call.set_parameters(parameters);
    call.sign_in(of.caller()?.clone());
    call.make_step(ask.body.as_ref().map(ToString::to_string).unwrap_or_default().into_bytes());
    let mut response = match route.handler.handle(&call).await {
        Ok(response) => response,
        Err(failure) => failure.respond(&of.request_id)?,
    };
    Ok((response.status_code(), response.json().await?))
}
