//! Watches what no transaction notices: budgets, spikes, publication, the databases' room. Whatever is found becomes a
//! notification, and by that an alert. A run in which nothing is in use asks no more queries than one without this.

use crate::db::usage::activity::{Activity, hours, token_of};
use crate::db::watch::{self as store, Limited};
use crate::db::{Db, Statement, StoreError, UsageDb, alerts, object};
use crate::limiter::standing;
use contract::limits::TokenLimits;
use domain::alert::watch::{
    BELL_THRESHOLDS, Hour, full_step, is_watched, percent, spike, threshold, usual_hours,
};
use domain::id::TeamId;
use domain::limit::Limits;
use domain::limit::ledger::LimitUse;
use domain::time::{MINUTE_MS, UnixMs};
use edge::log::Source;
use serde_json::Value;
use worker::Env;

/// The tokens whose counters a run asks. With more, the next runs ask the others.
const ASKED: usize = 40;
/// The tokens whose hour a run compares with earlier weeks, the largest first.
const COMPARED: usize = 50;

/// Makes the statements of each run: about publication, channels that fail, what is over, and the databases' room, each with
/// its name, size and most bytes.
pub fn statements(db: &Db, rooms: &[(&str, u64, u64)], now: UnixMs) -> Result<Vec<Statement>, StoreError> {
    let mut statements = vec![alerts::report_failing(db, now)?];
    statements.extend(store::regular(db, now)?);
    for (name, bytes, most) in rooms {
        statements.push(store::room(db, name, *bytes, full_step(*bytes, *most), now)?);
    }
    Ok(statements)
}

/// Asks the counters of limited tokens that were used just now, and of their teams, and reports the shares that are used.
pub async fn budgets(env: &Env, db: &Db, activity: &Activity, now: UnixMs) -> Result<(), StoreError> {
    let tokens = activity.active_tokens();
    if tokens.is_empty() {
        return Ok(());
    }
    let (limited, mut thresholds) = store::limited(db, &tokens).await?;
    thresholds.extend(BELL_THRESHOLDS);
    let mut teams: Vec<TeamId> = Vec::new();
    let (mut used, mut free) = (Vec::new(), Vec::new());
    for one in in_turn(&limited, now) {
        let mut in_force = one.in_force.clone();
        let team = in_force.team.clone();
        if teams.contains(&team) {
            in_force.team_budget = Limits::default();
        } else {
            teams.push(team.clone());
        }
        // If one counter cannot be asked, the others are likely away as well: the next run asks again.
        let TokenLimits { uses: Some(token_uses), team_uses: Some(team_uses), .. } =
            standing(env, Source::Cron, &one.id, in_force).await
        else {
            break;
        };
        let all =
            token_uses.iter().map(|limit| (limit, true)).chain(team_uses.iter().map(|limit| (limit, false)));
        for (limit, is_token) in all.filter(|(limit, _)| is_watched(limit.kind)) {
            let id = if is_token { one.id.as_str() } else { team.as_str() };
            let subject = [id, " ", limit.kind.as_str()].concat();
            match threshold(percent(limit), thresholds.iter().copied()) {
                Some(step) => used.push(budget(one, &subject, limit, is_token, step)),
                None => free.push(subject),
            }
        }
    }
    if used.is_empty() && free.is_empty() {
        return Ok(());
    }
    store::note_budgets(db, used, &free, now).await
}

/// Returns a notification about a share that is used, as SQL takes it.
fn budget(of: &Limited, subject: &str, used: &LimitUse, is_token: bool, step: u8) -> Value {
    let details = object(vec![
        ("name", (if is_token { of.name.as_str() } else { of.team_name.as_str() }).into()),
        ("token", is_token.then_some(of.id.as_str()).into()),
        ("kind", used.kind.as_str().into()),
        ("step", step.into()),
        ("used", used.used.into()),
        ("limit", used.limit.into()),
        ("resets_at", used.resets_at.into()),
    ]);
    let team = of.in_force.team.as_str().into();
    object(vec![("subject", subject.into()), ("team", team), ("details", details)])
}

/// Returns the tokens that are this minute's turn.
fn in_turn<T>(all: &[T], now: UnixMs) -> impl Iterator<Item = &T> {
    let turn = usize::try_from(now / MINUTE_MS).unwrap_or(0).wrapping_mul(ASKED) % all.len().max(1);
    all.iter().cycle().skip(turn).take(ASKED.min(all.len()))
}

/// Reports tokens whose hour is far above the usual.
pub async fn spikes(db: &Db, usage: &UsageDb, activity: &Activity, now: UnixMs) -> Result<(), StoreError> {
    let large = activity.large_hours(COMPARED);
    if large.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = large.iter().map(|(key, _)| token_of(key)).collect();
    let created = store::created(db, &ids).await?;
    let wanted: Vec<(&str, UnixMs)> = large
        .iter()
        .filter_map(|(key, _)| Some((*key, created.iter().find(|(id, _)| id == token_of(key))?.1)))
        .flat_map(|(key, created_at)| usual_hours(created_at, now).into_iter().map(move |at| (key, at)))
        .collect();
    let known = hours(usage, &wanted).await?;
    let mut found = Vec::new();
    for (key, hour) in large {
        let usual = |(of, at): &(&str, UnixMs)| {
            let known = known.iter().find(|known| known.key == *of && known.at == *at);
            (*of == key).then(|| known.map(|known| known.hour).unwrap_or_default())
        };
        let earlier: Vec<Hour> = wanted.iter().filter_map(usual).collect();
        if let Some(spike) = spike(hour, &earlier) {
            let details = object(vec![
                ("is_cost", spike.is_cost.into()),
                ("value", spike.value.into()),
                ("usual", spike.usual.into()),
            ]);
            found.push(object(vec![("token", token_of(key).into()), ("details", details)]));
        }
    }
    if found.is_empty() { Ok(()) } else { store::note_spikes(db, found, now).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_its_turn() {
        let all: Vec<usize> = (0..100).collect();
        let mut seen: Vec<&usize> = (0..3).flat_map(|minute| in_turn(&all, minute * MINUTE_MS)).collect();
        assert_eq!(seen.len(), 3 * ASKED);
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100);
        assert_eq!(in_turn(&all[..3], 7 * MINUTE_MS).count(), 3);
    }
}
