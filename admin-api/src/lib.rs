use worker::{Context, Env, MessageBatch, Request, Response, Result, ScheduleContext, ScheduledEvent, event};

#[event(fetch)]
async fn fetch(_request: Request, _env: Env, _context: Context) -> Result<Response> {
    Response::ok("admin-api")
}

#[event(queue)]
async fn queue(_batch: MessageBatch<serde_json::Value>, _env: Env, _context: Context) -> Result<()> {
    Ok(())
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, _env: Env, _context: ScheduleContext) {}
