//! Prices beside what was called: which models have no price, and what each cost in 30 days.

use super::Priced;
use contract::prices::ModelPrice;
use contract::usage::{ExploreQuery, GroupBy, UsageGroup};
use domain::ai::price::PriceList;
use domain::time::{DAY_MS, UnixMs};
use domain::usage::span::Interval;
use std::cmp::Reverse;

/// The report of the models that were called in the 30 days before `now`.
pub fn query(now: UnixMs) -> ExploreQuery {
    ExploreQuery {
        from: Some((now - 30 * DAY_MS).to_string()),
        interval: Some(Interval::Day),
        group_by: Some(GroupBy::Model),
        limit: Some(200),
        drawn: Some(0),
        ..ExploreQuery::default()
    }
}

/// Returns a line for each price and each model that was called: first the models whose cost is unknown for want of a
/// price, then others without one, then the prices in their order. A model counts in the line of the price that applies to
/// it. `noticed` are models that the bell says have no price.
pub fn joined(noticed: Vec<String>, prices: Vec<ModelPrice>, groups: &[UsageGroup]) -> Vec<Priced> {
    let list = PriceList::new(prices.iter().map(|price| (price.model.clone(), price.price)));
    let line =
        |price: ModelPrice| Priced { model: price.model.clone(), price: Some(price), ..Priced::default() };
    let mut lines: Vec<Priced> = prices.into_iter().map(line).collect();
    for model in noticed.into_iter().filter(|model| list.find(model).is_none()) {
        lines.push(Priced { model, is_unknown: true, ..Priced::default() });
    }
    for group in groups {
        let (called, figures) = (group.id.clone().unwrap_or_default(), &group.figures);
        let model = list.name_of(&called).unwrap_or(&called);
        let place = lines.iter().position(|line| line.model == model).unwrap_or_else(|| {
            let has_tokens = figures.prompt_tokens + figures.completion_tokens > 0;
            let is_unknown = !model.is_empty() && has_tokens && figures.cost_micros == 0;
            lines.push(Priced { model: model.to_owned(), is_unknown, ..Priced::default() });
            lines.len() - 1
        });
        if let Some(line) = lines.get_mut(place) {
            line.calls += figures.calls;
            line.cost_micros += figures.cost_micros;
        }
    }
    lines.sort_by_key(|line| match line.price {
        None => (!line.is_unknown, line.model.is_empty(), Reverse(line.calls)),
        Some(_) => (true, true, Reverse(0)),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::usage::Figures;
    use domain::ai::price::Price;

    fn group(model: &str, calls: u64, tokens: u64, cost_micros: u64) -> UsageGroup {
        UsageGroup {
            id: Some(model.to_owned()).filter(|model| !model.is_empty()),
            name: None,
            team_id: None,
            figures: Figures { calls, prompt_tokens: tokens, cost_micros, ..Figures::default() },
            previous: None,
            series: vec![],
        }
    }

    fn price(model: &str) -> ModelPrice {
        ModelPrice {
            model: model.to_owned(),
            price: Price { prompt: 1, completion: 1, cached: None, cache_write: None },
            effective_at: 0,
            source: String::new(),
        }
    }

    #[test]
    fn models_without_a_price_come_first_and_releases_count_with_their_price() {
        let groups = [
            group("gpt-4o-2024-08-06", 5, 9, 70),
            group("new", 3, 9, 0),
            group("openai/gpt-4o", 2, 9, 30),
            group("", 4, 9, 0),
            group("stated", 8, 9, 6),
            group("pictures", 1, 0, 0),
            group("newer", 4, 9, 0),
        ];
        let noticed = vec!["seldom".to_owned(), "new".to_owned(), "gpt-4o-2024-11-20".to_owned()];
        let lines = joined(noticed, vec![price("claude"), price("gpt-4o")], &groups);
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.model.as_str(), line.is_unknown, line.calls, line.cost_micros))
            .collect();
        assert_eq!(
            told,
            [
                ("newer", true, 4, 0),
                ("new", true, 3, 0),
                ("seldom", true, 0, 0),
                ("stated", false, 8, 6),
                ("pictures", false, 1, 0),
                ("", false, 4, 0),
                ("claude", false, 0, 0),
                ("gpt-4o", false, 7, 100),
            ]
        );
    }
}
