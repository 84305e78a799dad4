//! `/api/notifications` and `/api/publication`

use crate::auth::key::refuse_read_only;
use crate::change::{Change, snapshot};
use crate::db::{outbox, upkeep as store};
use crate::error::Failure;
use crate::handlers::visible_teams;
use crate::paging::{Cursor, check_limit, page};
use crate::publish::{Kv, KvError, Writer};
use crate::reconcile::{self, Position, ReconcileError};
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond};
use contract::Page;
use contract::audit::Deed;
use contract::upkeep::{
    Notification, NotificationKind, NotificationQuery, Publication, ReconcileReport, ReconcileRequest,
    SnoozeRequest, Snoozed,
};
use domain::people::grant::{Grant, Reconcile};
use domain::people::role::{Action, Subject, authorize};
use domain::problem::{Clash, Invalid};
use domain::time::{DAY_MS, HOUR_MS};
use edge::log::Source;

const SHOWN_ROWS: u32 = 50;
/// The time after which a dismissal is forgotten, so that the table does not grow.
const DISMISSED_MS: i64 = 400 * DAY_MS;

/// `GET /api/notifications`
pub async fn notifications(call: &Call, asked: Asked<NotificationQuery>) -> Answer<Page<Notification>> {
    let caller = call.caller()?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => None,
        Some(Cursor::Time(at, key)) => Some((*at, key.as_str())),
        Some(Cursor::Text(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let teams = visible_teams(caller, None)?;
    let platform = caller.core_role().is_some();
    let kinds = &NotificationKind::ALL;
    let seen = store::Seen { teams: teams.as_deref(), platform, by: &caller.user, now: call.now, kinds };
    let items = store::notifications(&call.db()?, seen, after, limit + 1).await?;
    let cursor_of =
        |n: &Notification| Cursor::Time(n.created_at, format!("{} {}", n.kind.as_str(), n.subject));
    respond(page(items, limit, cursor_of))
}

/// `POST /api/notifications/snooze`
pub async fn snooze(call: &Call, asked: Asked<SnoozeRequest>) -> Answer<Snoozed> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    refuse_read_only(caller)?;
    let request = asked.read(call)?;
    request.validate()?;
    let until = request.hours.map(|hours| call.now + hours * HOUR_MS);
    let kept_until = until.unwrap_or(call.now + DISMISSED_MS);
    store::snooze(&call.db()?, &caller.user, &request, kept_until).await?;
    respond(Snoozed { until })
}

/// `GET /api/publication`
pub async fn publication(call: &Call, _: Asked<()>) -> Answer<Publication> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadPublication, Subject::default())?;
    let db = call.db()?;
    let summary = outbox::summary(&db).await?;
    let progress = reconcile::progress(&db).await?;
    respond(Publication {
        pending: summary.pending,
        oldest_at: summary.oldest_at,
        rows: outbox::list(&db, SHOWN_ROWS).await?,
        drift: store::drift_count(&db).await?,
        compared_at: progress.completed_at,
        compare_error: progress.error,
    })
}

/// `POST /api/publication/reconcile`
pub async fn reconcile(call: &Call, asked: Asked<ReconcileRequest>) -> Answer<ReconcileReport> {
    let caller = call.caller()?;
    let attempt = Attempt { deed: Deed::Reconcile, id: None, team: None };
    let grant: Grant<Reconcile> = call.authorize(caller, Subject::default(), attempt)?;
    let request = asked.read(call)?;
    let position = match request.cursor.as_deref() {
        None => Position::START,
        Some(text) => {
            Position::parse(text).ok_or_else(|| Failure::field("cursor", Invalid::ComparisonCursor))?
        }
    };
    let db = call.db()?;
    let writer =
        if request.repair { Some(Writer::begin(&call.env, &db).await.map_err(not_now)?) } else { None };
    let kv = Kv::open(&call.env, &db).map_err(ReconcileError::Kv)?;
    let (mut slice, next) = reconcile::compare(&kv, &db, &position).await?;
    if let Some(writer) = writer.filter(|_| !slice.drift.is_empty()) {
        let change = Change::new(call, &db, &grant);
        change.deed(attempt, None, snapshot(&slice.drift)).commit_whole().await?;
        reconcile::repair(&writer, &db, &mut slice, Source::Request(&call.request_id)).await?;
    }
    reconcile::note(&db, &slice).await?;
    respond(ReconcileReport {
        compared: slice.compared,
        drift: slice.drift,
        next_cursor: next.map(|position| position.text()),
    })
}

fn not_now(error: KvError) -> Failure {
    match error {
        KvError::Held(_) => Failure::conflict("repair", Clash::Held),
        error => Failure::Unavailable(error.to_string()),
    }
}

impl From<ReconcileError> for Failure {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Store(error) => error.into(),
            ReconcileError::Kv(error) => Self::Unavailable(error.to_string()),
            ReconcileError::Publish(error) => Self::Unavailable(error.to_string()),
            ReconcileError::Cursor => Self::field("cursor", Invalid::ComparisonCursor),
        }
    }
}
