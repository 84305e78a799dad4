//! Calls of derived tokens that may make only so many: their parent's object counts each one, so the count is exact.

use crate::error::Failure;
use crate::store::{Keep, Store};
use domain::access::Permit;
use domain::access::derived::Derived;
use domain::error::GatewayError;
use domain::id::TokenId;
use domain::limit::ledger::{Command, DerivedCall};
use edge::limiter::ask;
use edge::log::{Source, log};
use futures_channel::oneshot;

/// A counted call. If it is dropped before it is made, since a limit of the parent refuses it or the client has gone, it
/// is taken back and can be made again.
#[derive(Debug)]
pub struct Counted(Option<Box<Asked>>);

#[derive(Debug)]
struct Asked {
    keep: Keep,
    token: TokenId,
    call: DerivedCall,
}

impl Asked {
    async fn count(&self) -> Result<bool, String> {
        let command = Command::Derived(self.call.clone());
        let may = ask(&self.keep.env, self.token.as_str(), &command).await;
        if may.is_ok() {
            return may;
        }
        // The object may have moved. Asking twice is safe: it counts each call once.
        ask(&self.keep.env, self.token.as_str(), &command).await
    }
}

impl Counted {
    /// Notes that the call is made from here on.
    pub fn make(mut self) {
        self.0 = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(asked) = self.0.take() else { return };
        let Asked { keep, token, call } = *asked;
        let env = keep.env;
        keep.context.wait_until(async move {
            let command = Command::Derived(DerivedCall { is_refused: true, ..call });
            if let Err(cause) = ask::<bool>(&env, token.as_str(), &command).await {
                log(
                    Source::Request(&keep.request_id),
                    "a call of a derived token cannot be taken back",
                    &cause,
                );
            }
        });
    }
}

/// Counts a call that its token may make only so often. `None` if it may make any number.
///
/// # Errors
/// 429 if the token has made all of its calls. 503 if the counter cannot be reached: no other can tell.
pub async fn take(
    permit: &Permit,
    derived: &Derived,
    call: &str,
    store: &Store<'_>,
) -> Result<Option<Counted>, Box<Failure>> {
    let Some(calls) = derived.calls else { return Ok(None) };
    let call = DerivedCall {
        call: call.to_owned(),
        nonce: derived.nonce.clone(),
        calls,
        ends_at: derived.ends_at,
        is_refused: false,
    };
    let asked = Asked { keep: store.keep(), token: permit.token().id.clone(), call };
    // If the client hangs up meanwhile, nobody hears that the call is counted, and it is dropped.
    let (answered, waited_for) = oneshot::channel();
    store.context.wait_until(async move {
        let may = asked.count().await;
        // One of which nothing is heard may be counted.
        let counted = Counted((may != Ok(false)).then(|| Box::new(asked)));
        let _ = answered.send((may, counted));
    });
    let (may, counted) = waited_for.await.map_err(|_| GatewayError::LimitsUnavailable)?;
    match may {
        Ok(true) => Ok(Some(counted)),
        Ok(false) => Err(GatewayError::DerivedCallsUsedUp.into()),
        Err(cause) => {
            log(Source::Request(store.request_id), "calls of a derived token cannot be counted", &cause);
            Err(GatewayError::LimitsUnavailable.into())
        }
    }
}
