//! Notes where tokens are used from, and reports a place that is new.

use crate::db::{Db, StoreError, object, to_json, watch as store};
use domain::alert::place::{Known, judge, of_address, of_country, shown};
use domain::time::{DAY_MS, UnixMs};
use domain::usage::UsageEvent;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The places that an isolate remembers, so that it asks the database about each once a day.
const REMEMBERED: usize = 20_000;

thread_local! {
    /// The day, and the tokens with their places that were noted on it.
    static NOTED: RefCell<(i64, BTreeSet<String>)> = RefCell::default();
}

/// Notes that a place is known. Returns whether it was not before.
fn is_new(key: String, day: i64) -> bool {
    NOTED.with_borrow_mut(|(noted_on, noted)| {
        if *noted_on != day || noted.len() > REMEMBERED {
            (*noted_on, *noted) = (day, BTreeSet::new());
        }
        noted.insert(key)
    })
}

/// Notes the places of calls. A place of which the isolate knows costs nothing.
pub async fn note(db: &Db, events: impl Iterator<Item = &UsageEvent>, now: UnixMs) -> Result<(), StoreError> {
    let day = now.div_euclid(DAY_MS);
    let mut used: Vec<(&str, Vec<String>)> = Vec::new();
    for event in events {
        let token = event.token_id.as_str();
        let country = event.country.as_deref().and_then(of_country);
        let address = event.client_ip.as_deref().and_then(of_address);
        for place in country.into_iter().chain(address) {
            if !is_new([token, " ", &place].concat(), day) {
                continue;
            }
            match used.iter_mut().find(|(of, _)| *of == token) {
                Some((_, places)) => places.push(place),
                None => used.push((token, vec![place])),
            }
        }
    }
    if used.is_empty() {
        return Ok(());
    }
    let stored = judge_all(db, &used, now).await;
    if stored.is_err() {
        // They are noted with the next calls.
        NOTED.take();
    }
    stored
}

async fn judge_all(db: &Db, used: &[(&str, Vec<String>)], now: UnixMs) -> Result<(), StoreError> {
    let tokens = to_json(&used.iter().map(|(token, _)| *token).collect::<Vec<_>>())?;
    let all = store::places(db, &tokens).await?;
    let (mut noted, mut told) = (Vec::new(), Vec::new());
    for (token, places) in used {
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        let known: Vec<Known> =
            all.iter().filter(|(of, _)| of == token).map(|(_, known)| known.clone()).collect();
        let judged = judge(&places, &known, now);
        let of = |field: &'static str, value| object(vec![("token", (*token).into()), (field, value)]);
        noted.extend(judged.noted.into_iter().map(|place| of("place", place.into())));
        told.extend(judged.told.map(|place| of("details", object(vec![("place", shown(place).into())]))));
    }
    if noted.is_empty() && told.is_empty() {
        return Ok(());
    }
    store::note_places(db, noted, told, now).await
}
