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
/// it. `noticed` are models that the bell says have no price; without `groups` it is not known what was called.
pub fn joined(noticed: Vec<String>, prices: Vec<ModelPrice>, groups: Option<&[UsageGroup]>) -> Vec<Priced> {
    let list = PriceList::new(prices.iter().map(|price| (price.model.clone(), price.price)));
    let used = groups.map(|_| (0, 0));
    let line = |price: ModelPrice| Priced {
        model: price.model.clone(),
        price: Some(price),
        used,
        ..Priced::default()
    };
    let mut lines: Vec<Priced> = prices.into_iter().map(line).collect();
    for model in noticed.into_iter().filter(|model| list.find(model).is_none()) {
        lines.push(Priced { model, is_unknown: true, used, ..Priced::default() });
    }
    for group in groups.unwrap_or_default() {
        let (called, figures) = (group.id.clone().unwrap_or_default(), &group.figures);
        let model = list.name_of(&called).unwrap_or(&called);
        let place = lines.iter().position(|line| line.model == model).unwrap_or_else(|| {
            let has_tokens = figures.prompt_tokens + figures.completion_tokens > 0;
            let is_unknown = !model.is_empty() && has_tokens && figures.cost_micros == 0;
            lines.push(Priced { model: model.to_owned(), is_unknown, used, ..Priced::default() });
            lines.len() - 1
        });
        if let Some((calls, micros)) = lines.get_mut(place).and_then(|line| line.used.as_mut()) {
            *calls += figures.calls;
            *micros += figures.cost_micros;
        }
    }
    lines.sort_by_key(|line| match line.price {
        None => (!line.is_unknown, line.model.is_empty(), Reverse(line.used)),
        Some(_) => (true, true, Reverse(None)),
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
        let lines = joined(noticed, vec![price("claude"), price("gpt-4o")], Some(&groups));
        let told: Vec<_> =
            lines.iter().map(|line| (line.model.as_str(), line.is_unknown, line.used)).collect();
        assert_eq!(
            told,
            [
                ("newer", true, Some((4, 0))),
                ("new", true, Some((3, 0))),
                ("seldom", true, Some((0, 0))),
                ("stated", false, Some((8, 6))),
                ("pictures", false, Some((1, 0))),
                ("", false, Some((4, 0))),
                ("claude", false, Some((0, 0))),
                ("gpt-4o", false, Some((7, 100))),
            ]
        );
        let unknown = joined(vec![], vec![price("claude")], None);
        assert_eq!(unknown.first().map(|line| line.used), Some(None), "unknown is not 0");
    }
}
