//! Calls of derived tokens that may make only so many: their parent's object counts each one, so the count is exact.

use crate::error::Failure;
use crate::store::Store;
use domain::access::Permit;
use domain::access::derived::Derived;
use domain::error::GatewayError;
use domain::id::TokenId;
use domain::limit::ledger::{Command, DerivedCall};
use edge::limiter::ask;
use edge::log::{Source, log};

/// Counts a call that its token may make only so often. `None` if it may make any number.
///
/// # Errors
/// 429 if the token has made all of its calls. 503 if the counter cannot be reached: no other can tell.
pub async fn take(
    permit: &Permit,
    derived: &Derived,
    call: &str,
    store: &Store<'_>,
) -> Result<Option<(TokenId, DerivedCall)>, Box<Failure>> {
    let Some(calls) = derived.calls else { return Ok(None) };
    let token = &permit.token().id;
    let asked = DerivedCall {
        call: call.to_owned(),
        nonce: derived.nonce.clone(),
        calls,
        ends_at: derived.ends_at,
        is_refused: false,
    };
    let command = Command::Derived(asked.clone());
    let mut may = ask(store.env, token.as_str(), &command).await;
    if may.is_err() {
        // The object may have moved. Asking twice is safe: it counts each call once.
        may = ask(store.env, token.as_str(), &command).await;
    }
    match may {
        Ok(true) => Ok(Some((token.clone(), asked))),
        Ok(false) => Err(GatewayError::DerivedCallsUsedUp.into()),
        Err(cause) => {
            log(Source::Request(store.request_id), "calls of a derived token cannot be counted", &cause);
            Err(GatewayError::LimitsUnavailable.into())
        }
    }
}

/// Takes a call back that a limit of the parent has refused: it can be made again.
pub fn give_back(counted: Option<(TokenId, DerivedCall)>, store: &Store<'_>) {
    let Some((token, asked)) = counted else { return };
    let env = store.env.clone();
    store.context.wait_until(async move {
        let command = Command::Derived(DerivedCall { is_refused: true, ..asked });
        if let Err(cause) = ask::<bool>(&env, token.as_str(), &command).await {
            log(Source::Isolate, "a call of a derived token cannot be taken back", &cause);
        }
    });
}
