//! The gateway Worker: checks a token, swaps in the upstream's credential, streams the call
//! through, records it.
//!
//! | module | is |
//! |---|---|
//! | [`serve`] | the order of work, one step after the other |
//! | [`store`] | tokens and routes from KV, through [`cache`] |
//! | [`credentials`] | sealed credentials opened, v1 references resolved |
//! | [`upstream`] | the call to the upstream and its answer on the way back |
//! | [`meter`] | usage events, packed and sent after the answer |
//! | [`error`] | failures, and the one place that turns them into responses |

mod cache;
mod config;
mod credentials;
mod error;
mod meter;
mod serve;
mod store;
mod upstream;

use worker::{Context, Env, Result, event};

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
    serve::serve(request, &env, &context).await
}
