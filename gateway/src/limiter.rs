//! Limits that must be counted: the token's ledger in its Durable Object.
//!
//! A token without such limits never gets here. A call costs one request to the object, and a second one
//! if it must be settled.

mod object;

use crate::error::Failure;
use crate::store::{Keep, Store};
use domain::access::Permit;
use domain::error::GatewayError;
use domain::id::TokenId;
use domain::limit::OnLimitFailure;
use domain::limit::ledger::{Ask, Command, Granted, LimitUse, Limited, Settlement, retry_after_s};
use edge::clock::sleep;
use edge::limiter::ask;
use edge::log::{Source, log};

/// Pauses between attempts to settle, in ms. After the last one the reservation ends by itself.
const SETTLE_PAUSES_MS: [u64; 3] = [100, 1_000, 5_000];

/// The amount held for a call until its response has ended. A reservation that is never settled ends after
/// its lease, spent in full.
#[derive(Debug)]
pub struct Reservation {
    token: TokenId,
    call: String,
}

/// The counter's response for a call that it admits.
#[derive(Debug, Default)]
pub struct Admission {
    pub uses: Vec<LimitUse>,
    pub reservation: Option<Reservation>,
}

/// Counts a call or refuses it. Budgets never refuse a call that costs nothing.
///
/// # Errors
/// 429 with the time to wait if a limit is reached. 503 if the counter cannot be reached and the token
/// requires it.
pub async fn take(
    permit: &Permit,
    call: &str,
    most: Ask,
    store: &Store<'_>,
) -> Result<Admission, Box<Failure>> {
    let token = permit.token();
    let is_counted = token.limits.counts_calls() || (most != Ask::default() && token.limits.has_budget());
    if !is_counted {
        return Ok(Admission::default());
    }
    let command = Command::Take { call: call.to_owned(), limits: token.limits.clone(), ask: most };
    let answer: Result<Result<Granted, Limited>, String> = match ask(store.env, &token.id, &command).await {
        // The object may have moved. Asking twice is safe: it counts each call once.
        Err(_) => ask(store.env, &token.id, &command).await,
        answer => answer,
    };
    match answer {
        Ok(Ok(granted)) => Ok(Admission {
            uses: granted.uses,
            reservation: granted
                .to_settle
                .then(|| Reservation { token: token.id.clone(), call: call.to_owned() }),
        }),
        Ok(Err(limited)) => Err(Box::new(Failure {
            retry_after_s: Some(retry_after_s(limited.retry_after_ms)),
            uses: limited.uses,
            ..limited.kind.measure().error().into()
        })),
        Err(cause) => {
            log(Source::Request(store.request_id), "limits cannot be counted", &cause);
            match token.limits.on_failure() {
                OnLimitFailure::Allow => Ok(Admission::default()),
                OnLimitFailure::Deny => Err(Box::new(GatewayError::LimitsUnavailable.into())),
            }
        }
    }
}

impl Reservation {
    /// Tells the counter what the call used, after the response.
    pub fn settle(self, settlement: Settlement, keep: &Keep) {
        let Keep { env, request_id, .. } = keep.clone();
        keep.context.wait_until(async move {
            let command = Command::Settle { call: self.call, settlement };
            for pause in std::iter::once(0).chain(SETTLE_PAUSES_MS) {
                if pause > 0 {
                    sleep(pause).await;
                }
                match ask::<bool>(&env, &self.token, &command).await {
                    Ok(_) => return,
                    Err(cause) => {
                        log(Source::Request(&request_id), "a reservation cannot be settled", &cause);
                    }
                }
            }
        });
    }
}
