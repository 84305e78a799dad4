//! `/api/webhooks/clerk`

use crate::db::{audit, invitations as store};
use crate::error::Failure;
use crate::request::{Asked, Call, parse_body};
use crate::respond::{Answer, respond};
use contract::audit::Deed;
use contract::error::ApiError;
use contract::invitations::WebhookTaken;
use domain::people::clerk::{Event, Webhook};
use domain::problem::Invalid;
use edge::log::{Source, log};

/// `POST /api/webhooks/clerk`
///
/// 1. Check Svix's signature over the unchanged body. If no secret is configured, there is no such endpoint.
/// 2. Ignore a message that was processed before.
/// 3. Write the message's id and its effects in one batch. Two simultaneous copies both come this far, but
///    the second changes nothing: every statement can safely be repeated.
pub async fn take(call: &Call, _: Asked<serde_json::Value>) -> Answer<WebhookTaken> {
    let secret = call.config.webhook_secret.clone().ok_or(ApiError::NotFound)?;
    let header = |name: &str| call.header(name).ok_or(ApiError::BadSignature);
    let (id, timestamp, signatures) =
        (header("svix-id")?, header("svix-timestamp")?, header("svix-signature")?);
    if let Err(error) = secret.verify(&id, &timestamp, &signatures, call.body(), call.now) {
        log(Source::Request(&call.request_id), "webhook refused", &error.to_string());
        return Err(ApiError::BadSignature.into());
    }
    let webhook: Webhook = parse_body(call.body())?;
    let event = webhook.event();
    let event = event.ok_or_else(|| Failure::field("data", Invalid::EventData))?;
    let db = call.db()?;
    if event == Event::Other || store::is_webhook_known(&db, &id).await? {
        return respond(WebhookTaken { taken: false });
    }
    let mut statements = match &event {
        Event::Person(user) => {
            store::put_people(&db, std::slice::from_ref(user), call.now, &call.request_id)?
        }
        Event::Deleted(user) => {
            let entry = audit::Entry::of_system(Deed::DeleteUser, user.as_str(), call.now, &call.request_id);
            let mut statements = store::delete_person(&db, user, call.now, &call.request_id)?;
            statements.insert(1, audit::insert_if_changed(&db, &entry)?);
            statements
        }
        Event::Other => vec![],
    };
    statements.push(store::insert_webhook(&db, &id, call.now)?);
    db.batch(statements).await?;
    respond(WebhookTaken { taken: true })
}
