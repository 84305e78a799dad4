//! Limits that have to be counted: the token's ledger in its Durable Object.
//!
//! A token without such limits never gets here. One call costs one request to the object, and a second
//! where it has to be settled.

mod object;

use crate::error::Failure;
use crate::store::{Keep, Store, now};
use domain::access::Permit;
use domain::error::GatewayError;
use domain::id::TokenId;
use domain::limit::OnLimitFailure;
use domain::limit::ledger::{Ask, Command, Granted, LimitUse, Limited, Settlement, headers, retry_after_s};
use domain::upstream::headers::response::{RATE_LIMIT, RATE_LIMIT_POLICY, name_beside};
use edge::limiter::ask;
use edge::log::log;
use std::time::Duration;
use web_sys::Response;
use worker::Delay;

/// Pauses between the tries to settle, in ms. After the last the reservation ends by itself.
const SETTLE_PAUSES_MS: [u64; 3] = [100, 1_000, 5_000];

/// What is held for a call until its answer has ended. Dropped without a settlement it ends after its
/// lease, spent in full.
#[derive(Debug)]
pub struct Reservation {
    token: TokenId,
    call: String,
}

/// What the counter says of a call that it lets in.
#[derive(Debug, Default)]
pub struct Admission {
    pub uses: Vec<LimitUse>,
    pub reservation: Option<Reservation>,
}

/// Counts a call, or refuses it. A call that costs nothing passes budgets.
///
/// # Errors
/// 429 with the wait where a limit is reached; 503 where the counter cannot be reached and the token
/// says that it must be.
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
        // The object may have moved; it counts a call that it knows only once.
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
            log(store.request_id, "limits cannot be counted", &cause);
            match token.limits.on_failure() {
                OnLimitFailure::Allow => Ok(Admission::default()),
                OnLimitFailure::Deny => Err(Box::new(GatewayError::LimitsUnavailable.into())),
            }
        }
    }
}

impl Reservation {
    /// Tells the counter what the call used, after the answer.
    pub fn settle(self, settlement: Settlement, keep: &Keep) {
        let Keep { env, request_id, .. } = keep.clone();
        keep.context.wait_until(async move {
            let command = Command::Settle { call: self.call, settlement };
            for pause in std::iter::once(0).chain(SETTLE_PAUSES_MS) {
                if pause > 0 {
                    Delay::from(Duration::from_millis(pause)).await;
                }
                match ask::<bool>(&env, &self.token, &command).await {
                    Ok(_) => return,
                    Err(cause) => log(&request_id, "a reservation cannot be settled", &cause),
                }
            }
        });
    }
}

/// Tells the client how it stands, beside anything that the upstream says of its own limits.
pub fn tell(response: &Response, uses: &[LimitUse]) -> worker::Result<()> {
    let Some((policy, standing)) = headers(uses, now()) else { return Ok(()) };
    let given = response.headers();
    for (name, ours) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
        if let Some(theirs) = given.get(name)? {
            let beside = name_beside(name, &theirs, &ours);
            given.delete(name)?;
            given.append(beside, &theirs)?;
        }
        given.append(name, &ours)?;
    }
    Ok(())
}
