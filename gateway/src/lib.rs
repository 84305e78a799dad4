//! The gateway Worker: checks a token, swaps in the upstream's credential, streams the call
//! through, records it.
//!
//! | module | is |
//! |---|---|
//! | [`serve`] | the order of work, one step after the other |
//! | [`store`] | tokens, [`routes`] and prices from KV, through [`cache`] |
//! | [`credentials`] | opening sealed credentials, resolving v1 references |
//! | [`limiter`], [`answer`] | limits: counted by the token's Durable Object, reported to the client |
//! | [`upstream`], [`body`] | the call to the upstream and its response on the way back |
//! | [`headers`] | header lists, in few crossings to JavaScript |
//! | [`signing`] | bodies that a signature must cover |
//! | [`ai`] | budgets and usage of AI calls |
//! | [`watch`], [`websocket`] | bodies and sockets whose end must be known |
//! | [`record`], [`meter`] | usage events: their content; packing and sending them after the response |
//! | [`metrics`] | calls as data points, if a dataset is bound |
//! | [`error`] | failures, turned into responses in one place |

mod ai;
mod answer;
mod arrival;
mod body;
mod cache;
mod config;
mod credentials;
mod error;
mod headers;
mod limiter;
mod meter;
mod metrics;
mod record;
mod routes;
mod serve;
mod signing;
mod store;
mod upstream;
mod watch;
mod websocket;

use std::rc::Rc;
use worker::{Context, Env, Result, event};

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
    serve::serve(request, &env, &Rc::new(context)).await
}
