//! The admin API Worker: people manage tokens and routes, the queue's events become reports, and every
//! change is published to KV.
//!
//! | module | content |
//! |---|---|
//! | [`router`] | method and pattern to handler, CORS, the single exit for responses |
//! | [`request`], [`respond`] | a request in the form that handlers use, and their typed responses |
//! | `handlers` | check, act, respond |
//! | [`auth`] | the caller: a session's person, or a token's holder |
//! | [`alerts`] | alerts that leave the building |
//! | [`clerk`] | Clerk's Backend API |
//! | [`db`] | typed statements over `db/queries/*.sql` |
//! | [`budget`] | the KV and D1 operations left to one invocation |
//! | [`dry_run`] | a change tried on recorded calls, and not made |
//! | [`publish`] | the outbox, and its publication to KV |
//! | [`hold`] | no change while a restore is under way |
//! | [`reconcile`] | comparison of KV with D1 |
//! | [`reseal`] | sealing credentials again under the current key |
//! | [`intake`], [`consumer`] | the queue's messages: their content, and their way into D1 |
//! | [`cron`] | each minute: publication, comparison, deletion of expired records |
//! | [`canary`] | beside it: how soon changes are seen |
//! | [`error`] | outcomes, turned into responses in one place |

mod alerts;
mod auth;
mod budget;
mod canary;
mod change;
mod clerk;
mod config;
mod consumer;
mod cron;
mod db;
mod dry_run;
mod error;
pub mod fold;
mod handlers;
mod hold;
pub mod intake;
mod invitations;
mod limiter;
mod paging;
mod publish;
mod reconcile;
mod request;
mod reseal;
mod respond;
mod router;
mod telemetry;
mod zone;

use futures_util::future::join;
use worker::{Context, Env, MessageBatch, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> Result<Response> {
    router::serve(request, env, context).await
}

#[event(queue)]
async fn queue(batch: MessageBatch<serde_json::Value>, env: Env, _context: Context) -> Result<()> {
    if publish::relay::is_ours(&batch.queue()) {
        publish::relay::go_on(&batch, &env).await;
    } else {
        consumer::consume(&batch, &env).await;
    }
    Ok(())
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    // Side by side: neither waits for the other.
    join(cron::run(&env), canary::run(&env)).await;
}
