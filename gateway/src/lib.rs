//! The gateway Worker: checks a token, swaps in the upstream's credential, streams the call
//! through, records it.
//!
//! | module | is |
//! |---|---|
//! | [`serve`] | the order of work, one step after the other |
//! | [`store`] | tokens and routes from KV, through [`cache`] |
//! | [`credentials`] | sealed credentials opened, v1 references resolved |
//! | [`limiter`] | limits, counted by the token's Durable Object |
//! | [`upstream`], [`body`] | the call to the upstream and its answer on the way back |
//! | [`headers`] | header lists, in few crossings to JavaScript |
//! | [`signing`] | bodies that a signature has to cover |
//! | [`ai`] | what AI calls may use and did use |
//! | [`watch`], [`websocket`] | bodies and sockets whose end has to be known |
//! | [`record`], [`meter`] | usage events: what is in them; packed and sent after the answer |
//! | [`metrics`] | calls as data points, where a dataset is bound |
//! | [`error`] | failures, and the one place that turns them into responses |

mod ai;
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
