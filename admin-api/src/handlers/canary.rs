//! `/api/canary`, and the canary's part of the health report

use crate::db::canary as store;
use crate::request::{Asked, Call};
use crate::respond::{Answer, respond};
use contract::canary::{Canary, CanaryFigures, CanaryHour, MeasureFigures};
use contract::upkeep::{HealthCheck, HealthStatus};
use domain::canary::{FeedState, Hours, KEPT_MS, Measure, Run, RunState, is_overdue};
use domain::people::role::{Action, Subject, authorize};
use domain::problem::HealthNote;
use domain::time::{DAY_MS, MINUTE_MS, UnixMs};

/// `GET /api/canary`
pub async fn get(call: &Call, _: Asked<()>) -> Answer<Canary> {
    authorize(call.caller()?, Action::ReadPublication, Subject::default())?;
    let db = call.db()?;
    let last = store::last(&db).await?;
    let hours = store::hours(&db, Hours::of(call.now - KEPT_MS)).await?;
    respond(report(call.config.canary_every_min, last, &hours, call.now))
}

fn report(every_min: u32, last: Option<Run>, hours: &[(UnixMs, Hours)], now: UnixMs) -> Canary {
    // The hours that are not over a day ago: the current one and 23 before it.
    let is_recent = |at: UnixMs| at > Hours::of(now) - DAY_MS;
    let (mut day, mut month) = (Hours::default(), Hours::default());
    for (at, hour) in hours {
        month.merge(hour);
        if is_recent(*at) {
            day.merge(hour);
        }
    }
    let figures = |hours: &Hours, measure| hours.get(measure).map(CanaryFigures::from);
    let of_hour = |(at, hour): &(UnixMs, Hours)| CanaryHour {
        at: *at,
        new_token: figures(hour, Measure::NewToken),
        revoked: figures(hour, Measure::Revoked),
        usage: figures(hour, Measure::Usage),
    };
    let of_measure = |measure: Measure| MeasureFigures {
        measure,
        limit_ms: measure.limit_ms(last.as_ref().and_then(|run| run.feed)),
        last_ms: last.as_ref().and_then(|run| run.ms.get(&measure).copied()),
        day: figures(&day, measure),
        month: figures(&month, measure),
    };
    Canary {
        every_min,
        measures: Measure::ALL.into_iter().map(of_measure).collect(),
        hours: hours.iter().filter(|(at, _)| is_recent(*at)).map(of_hour).collect(),
        last,
    }
}

/// Checks the last run. The gateway's own health is elsewhere: even without it this API works.
pub fn checked(last: Option<&Run>, every_min: u32, now: UnixMs) -> HealthCheck {
    let (status, note) = match last {
        _ if every_min == 0 => (HealthStatus::Ok, HealthNote::CanaryOff),
        None => (HealthStatus::Ok, HealthNote::CanaryNone),
        Some(run) if is_overdue(run.at, every_min, now) => {
            (HealthStatus::Degraded, HealthNote::CanaryOld { minutes: (now - run.at) / MINUTE_MS })
        }
        Some(run) => {
            let status = if run.findings().is_empty() { HealthStatus::Ok } else { HealthStatus::Degraded };
            (status, note(run))
        }
    };
    HealthCheck::new("canary", status, Some(note))
}

fn note(run: &Run) -> HealthNote {
    match run.state {
        RunState::NotPublished => HealthNote::CanaryNotPublished,
        RunState::GatewayAway => HealthNote::CanaryAway,
        RunState::GatewayOlder => HealthNote::CanaryOlder,
        RunState::Held => HealthNote::CanaryHeld,
        RunState::Measured if run.feed == Some(FeedState::Off) => HealthNote::CanaryNoFeed,
        RunState::Measured => {
            let ms = |measure| run.ms.get(&measure).map_or_else(|| "–".to_owned(), u32::to_string);
            HealthNote::CanarySaw {
                new_token: ms(Measure::NewToken),
                revoked: ms(Measure::Revoked),
                usage: ms(Measure::Usage),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::HOUR_MS;

    const NOW: UnixMs = 500 * DAY_MS + 7 * MINUTE_MS;

    fn run(ms: [u32; 3]) -> Run {
        Run {
            feed: Some(FeedState::On),
            ms: Measure::ALL.into_iter().zip(ms).collect(),
            ..Run::new(NOW - MINUTE_MS)
        }
    }

    #[test]
    fn a_report_adds_up_a_day_and_thirty() {
        let mut hours: Vec<(UnixMs, Hours)> = Vec::new();
        for (ago, ms) in [(25, 9_000), (24, 800), (23, 700), (0, 100)] {
            let mut hour = Hours::default();
            hour.add(&run([ms; 3]));
            hours.push((Hours::of(NOW) - ago * HOUR_MS, hour));
        }
        let report = report(1, Some(run([5, 6, 7])), &hours, NOW);
        let revoked = &report.measures[1];
        assert_eq!(
            (revoked.measure, revoked.last_ms, revoked.limit_ms),
            (Measure::Revoked, Some(6), Some(5_000))
        );
        let counts = |figures: Option<CanaryFigures>| figures.map(|all| (all.runs, all.worst_ms)).unwrap();
        assert_eq!((counts(revoked.day), counts(revoked.month)), ((2, 700), (4, 9_000)));
        assert_eq!(report.hours.len(), 2);
    }

    #[test]
    fn a_late_change_or_a_gateway_that_is_away_degrades_and_an_older_gateway_does_not() {
        let of = |last: Option<Run>, every_min| {
            let check = checked(last.as_ref(), every_min, NOW);
            (check.status, check.note.unwrap_or_default())
        };
        let saw = "a new token worked after 5 ms, a revoked one was refused after 6 ms, a call was in usage after 7 ms";
        assert_eq!(of(Some(run([5, 6, 7])), 1), (HealthStatus::Ok, saw.to_owned()));
        assert_eq!(of(Some(run([5, 5_001, 7])), 1).0, HealthStatus::Degraded);
        let with = |state| Some(Run { state, ..run([0; 3]) });
        assert_eq!(of(with(RunState::GatewayAway), 1).0, HealthStatus::Degraded);
        assert_eq!(of(with(RunState::NotPublished), 1).0, HealthStatus::Degraded);
        assert_eq!(of(with(RunState::GatewayOlder), 1).0, HealthStatus::Ok);
        assert_eq!(
            of(Some(Run { feed: Some(FeedState::Off), ..run([60_000; 3]) }), 1).1,
            "the change feed is switched off"
        );
        assert_eq!(of(Some(Run { at: 0, ..run([0; 3]) }), 1).0, HealthStatus::Degraded, "the cron is silent");
        assert_eq!(of(Some(Run { at: 0, ..run([0; 3]) }), 0), (HealthStatus::Ok, "switched off".to_owned()));
        assert_eq!(of(None, 1), (HealthStatus::Ok, "not measured yet".to_owned()));
    }
}
