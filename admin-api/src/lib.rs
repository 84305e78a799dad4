//! The admin API Worker: people manage tokens and routes, the queue's events become reports, KV is
//! told of every change.
//!
//! | module | is |
//! |---|---|
//! | [`router`] | method and pattern to handler, CORS, the one way out |
//! | `handlers` | parse, check, act, respond |
//! | [`auth`] | who is calling: a session, or a token's holder |
//! | [`clerk`] | Clerk's Backend API |
//! | [`db`] | typed statements over `db/queries/*.sql` |
//! | [`budget`] | what one invocation may ask of KV and D1 |
//! | [`publish`] | the outbox, and what KV is told |
//! | [`hold`] | no change while a restore is under way |
//! | [`reconcile`] | KV held against D1 |
//! | [`reseal`] | credentials from an older key to the present one |
//! | [`intake`], [`consumer`] | the queue's messages: what is in them, and their way into D1 |
//! | [`cron`] | each minute: the outbox again, and what is past its time deleted |
//! | [`error`] | outcomes, turned into responses in one place |

mod auth;
mod budget;
mod clerk;
mod config;
mod consumer;
mod cron;
mod db;
mod error;
mod handlers;
mod hold;
pub mod intake;
mod limiter;
mod paging;
mod publish;
mod reconcile;
mod request;
mod reseal;
mod router;
mod zone;

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
    cron::run(&env).await;
}
