//! `GET /health/canary`: tells the admin API's canary whether this isolate accepts its token. The token is looked up as
//! any other; it opens nothing else, and no other token opens this.

use crate::call::Call;
use crate::changes;
use crate::error::header;
use crate::permit::{Handled, present};
use crate::step::Own;
use crate::store::Store;
use domain::access::derived::Bearer;
use domain::access::path::CANARY_PATH;
use domain::call::head::Head;
use domain::canary::{Echo, FeedState, Seen, judge};
use domain::error::GatewayError;
use domain::token::{Form, TokenHash};
use domain::usage::SECRET_HEAD;
use futures_util::future::join;

/// Whether the call is the canary's.
pub fn is_asked_for(head: &Head) -> bool {
    head.url().path().as_str() == CANARY_PATH
}

/// Responds to the canary. An accepted call is recorded as one of its token's.
///
/// # Errors
/// The failure of a store, or 404 for anybody else's token.
pub async fn respond(call: &Call) -> Handled<Own> {
    let canary = match present(call) {
        Ok((_, Bearer::Token(token))) if token.form() == Form::Current => look(call, &token.hash()).await?,
        Ok(_) => None,
        // Its check was made under another key: the two Workers do not have the same.
        Err(failure) if failure.error == GatewayError::InvalidApiKey => Some(Seen::Refused),
        Err(failure) => return Err(failure),
    };
    let canary = canary.ok_or(GatewayError::RouteNotFound)?;
    let feed = match call.config.feed_poll_ms {
        0 => FeedState::Off,
        _ if changes::is_away() => FeedState::Away,
        _ => FeedState::On,
    };
    let headers = vec![header("content-type", "application/json"), header("cache-control", "no-store")];
    let status = if canary == Seen::Accepted { 200 } else { 401 };
    Ok(Own { status, headers, body: serde_json::to_string(&Echo { canary, feed }).unwrap_or_default() })
}

async fn look(call: &Call, hash: &TokenHash) -> Handled<Option<Seen>> {
    let news = changes::news();
    let mut seen = judged(call, hash).await?;
    if seen == Some(Seen::Refused) {
        // As for any call: no refusal is based on a record that is older than a second.
        let store = call.store();
        let again = join(store.refresh_token(hash, Form::Current, call.arrival.at), changes::settled(news));
        if again.await != (false, false) {
            seen = judged(call, hash).await?;
        }
        Store::note_token_refusal(hash);
    }
    Ok(seen)
}

async fn judged(call: &Call, hash: &TokenHash) -> Handled<Option<Seen>> {
    let record =
        call.store().look_up(hash, Form::Current).await.0.map_err(|cause| GatewayError::from(&cause))?;
    let seen = judge(record.as_deref(), call.now.get());
    if seen == Some(Seen::Accepted) {
        let mut facts = call.facts.borrow_mut();
        facts.token = record;
        facts.secret = hash.as_str().get(..SECRET_HEAD).map(str::to_owned);
    }
    Ok(seen)
}
