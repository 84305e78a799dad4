//! Sends invitations through Clerk, at once and again by the cron.
//!
//! D1 comes first, then Clerk: an invitation in D1 gives its memberships even if Clerk never sends it, and one that
//! is not in D1 gives none. If the Worker dies in between, the invitation is pending and not sent, and the cron sends
//! it. One that Clerk refuses is revoked, so that no unusable invitation is left.

use crate::clerk::{self, ClerkError};
use crate::config::Config;
use crate::db::{Db, StoreError, invitations as store};
use domain::error::FieldError;
use domain::time::{MINUTE_MS, UnixMs};
use edge::log::{Source, log};

/// The most invitations that one run of the cron sends.
const SENT_AT_ONCE: u32 = 20;
const RETRY_MS: i64 = 5 * MINUTE_MS;

/// Clerk's reasons for refusing to send an invitation.
pub type Refused = Vec<FieldError>;

/// Returns the address of the UI's sign-up page.
pub fn sign_up(config: &Config) -> Option<String> {
    config.session.allowed_origins.first().map(|origin| format!("{origin}/sign-in"))
}

/// Has Clerk send a pending invitation. It stays due while Clerk is away. One that Clerk refuses is revoked.
pub async fn send(
    config: &Config,
    db: &Db,
    (id, email): (&str, &str),
    now: UnixMs,
    source: Source<'_>,
) -> Result<Result<(), Refused>, StoreError> {
    let Some(api) = &config.clerk_api else { return Ok(Ok(())) };
    match clerk::invite(api, email, sign_up(config).as_deref()).await {
        Ok(clerk_id) => store::sent(db, id, &clerk_id, now).await?,
        Err(ClerkError::Refused(fields)) => {
            store::refused(db, id, &reason(&fields), now, source.as_str()).await?;
            return Ok(Err(fields));
        }
        Err(error @ ClerkError::Away(_)) => {
            log(source, "invitation not sent, to be tried again", &error.to_string());
            store::unsent(db, id, &error.to_string(), now).await?;
        }
    }
    Ok(Ok(()))
}

fn reason(fields: &[FieldError]) -> String {
    fields.iter().map(|field| field.problem.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Sends the invitations for which Clerk could not be reached before.
pub async fn send_due(config: &Config, db: &Db, now: UnixMs) -> Result<(), StoreError> {
    if config.clerk_api.is_none() {
        return Ok(());
    }
    for due in store::due(db, now - RETRY_MS, now, SENT_AT_ONCE).await? {
        // A refusal is in the audit log, and nobody waits for it here.
        let _refusal = send(config, db, (&due.id, &due.email), now, Source::Cron).await?;
    }
    Ok(())
}
