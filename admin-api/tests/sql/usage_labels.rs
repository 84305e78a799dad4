//! Sums of labels: stored once a token and day, whatever arrives.

use super::DAY_MS;
use super::usage_sent::{START, call, keyed};
use super::usage_store::{Store, usage_query};
use admin_api::fold::LabelRow;
use domain::time::MINUTE_MS;
use domain::usage::UsageEvent;
use domain::usage::label::{LabelTallies, Labels, TokenDay};

impl Store {
    pub fn stored_labels(&self, arrived: &LabelTallies) -> Vec<LabelRow> {
        let places: Vec<&TokenDay> = arrived.iter().map(|(place, _)| place).collect();
        let mut statement = self.0.prepare_cached(&usage_query("labels_read")).unwrap();
        let rows = statement.query_map([serde_json::to_string(&places).unwrap()], |row| {
            let (team, token): (String, String) = (row.get("team_id")?, row.get("token_id")?);
            let place = TokenDay { day: row.get("day")?, team_id: team.into(), token_id: token.into() };
            Ok(LabelRow { place, sums: row.get("sums")? })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The labels of all tokens and days.
    pub fn labels(&self) -> Vec<Labels> {
        let mut statement = self.0.prepare("SELECT sums FROM labels").unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(|sums| serde_json::from_str(&sums.unwrap()).unwrap()).collect()
    }
}

#[test]
fn ten_thousand_random_labels_an_hour_make_one_row_of_a_token_and_day() {
    let mut store = Store::new();
    for minute in 0_u32..60 {
        let now = START + i64::from(minute) * MINUTE_MS;
        let events = (0..168).map(|i| {
            let id = format!("{minute}.{i}");
            let event = call(&id, now + i64::from(i), 1, 1);
            UsageEvent { label: Some(format!("random {id}").into()), ..event }
        });
        let events: Vec<UsageEvent> = events.collect();
        store.take_in(&[keyed(u64::from(minute) * 3, now, events)], now);
        store.fold(now);
    }
    let labels = store.labels();
    assert_eq!(labels.len(), 1, "one row");
    let lines: Vec<_> = labels[0].iter().collect();
    assert_eq!(lines.len(), 501);
    assert_eq!(lines.iter().map(|(_, sums)| sums.calls).sum::<u64>(), 60 * 168);
    let other = lines.iter().find(|(label, _)| label.is_empty()).unwrap();
    assert_eq!(other.1.calls, 60 * 168 - 500);
}

#[test]
fn usage_reports_of_labels_read_the_days_and_teams_that_are_asked_for() {
    let db = Store::new().0;
    let rows: Vec<_> = (0..6)
        .flat_map(|day| {
            ["a", "b"].map(|team| (day * DAY_MS, team, format!("tok_{team}"), r#"{"x":[1,1,0,0,0,0,5]}"#))
        })
        .collect();
    db.execute(&usage_query("labels_put"), [serde_json::to_string(&rows).unwrap()]).unwrap();
    let read = |name: &str, params: [&dyn rusqlite::ToSql; 4]| -> Vec<(i64, String)> {
        let mut statement = db.prepare(&usage_query(name)).unwrap();
        let rows = statement.query_map(params, |row| Ok((row.get("day")?, row.get("token_id")?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let (first, last, none) = (2 * DAY_MS, 4 * DAY_MS, None::<&str>);
    let all = read("report_labels", [&first, &last, &none, &1_000_000]);
    assert_eq!((all.len(), all.first().unwrap().0, all.last().unwrap().0), (6, last, first));
    let days = serde_json::to_string(&[4 * DAY_MS, 3 * DAY_MS]).unwrap();
    let of_b = read("report_labels_of_teams", [&days, &r#"["b"]"#, &none, &1_000_000]);
    assert_eq!(of_b, [(4 * DAY_MS, "tok_b".to_owned()), (3 * DAY_MS, "tok_b".to_owned())]);
    assert!(read("report_labels_of_teams", [&days, &r#"["b"]"#, &"tok_a", &1_000_000]).is_empty());
    assert_eq!(
        read("report_labels", [&first, &last, &none, &30]).len(),
        2,
        "the row that passes the bound is the last"
    );
    db.execute(&usage_query("labels_purge"), [9 * DAY_MS, DAY_MS]).unwrap();
    let left: i64 = db.query_row("SELECT min(day) FROM labels", [], |row| row.get(0)).unwrap();
    assert_eq!(left, DAY_MS, "a day at once");
}
