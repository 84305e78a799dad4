//! Time zones, in which days, weeks and months begin.

use super::Period;
use crate::time::{DAY_MS, Date, UnixMs};
use serde::{Deserialize, Serialize};

/// A time zone, as far ahead as its next change is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Zone {
    /// How far it is ahead of UTC now, in ms.
    pub offset_ms: i64,
    /// When that changes, unix ms, and how far it is ahead of UTC from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<[i64; 2]>"))]
    pub next: Option<(UnixMs, i64)>,
}

impl Zone {
    /// Whether it is UTC.
    pub fn is_utc(&self) -> bool {
        *self == Self::default()
    }

    /// Returns how far the zone is ahead of UTC at a time.
    pub fn offset_at(&self, at: UnixMs) -> i64 {
        self.next.map_or(self.offset_ms, |(from, offset)| if at < from { self.offset_ms } else { offset })
    }

    /// Returns the instant at which the clocks of the zone show `local`.
    fn instant(&self, local: i64) -> UnixMs {
        let guess = local - self.offset_at(local - self.offset_ms);
        local - self.offset_at(guess)
    }

    /// Returns when the period that holds `now` began.
    pub fn start(&self, period: Period, now: UnixMs) -> UnixMs {
        let local = now + self.offset_at(now);
        let day = local - local.rem_euclid(DAY_MS);
        let start = match period {
            Period::Day => day,
            // The epoch was a Thursday.
            Period::Week => day - (day / DAY_MS + 3).rem_euclid(7) * DAY_MS,
            Period::Month => Date { day: 1, ..Date::of(local) }.start(),
        };
        self.instant(start).min(now)
    }

    /// Returns when the period that holds `now` ends.
    pub fn end(&self, period: Period, now: UnixMs) -> UnixMs {
        let local = now + self.offset_at(now);
        let day = local - local.rem_euclid(DAY_MS);
        let end = match period {
            Period::Day => day + DAY_MS,
            // The epoch was a Thursday.
            Period::Week => day + (7 - (day / DAY_MS + 3).rem_euclid(7)) * DAY_MS,
            Period::Month => {
                let date = Date::of(local);
                Date { month: date.month + 1, day: 1, ..date }.start()
            }
        };
        // The hour that a zone repeats must not be a period of its own.
        self.instant(end).max(now + 1)
    }
}
