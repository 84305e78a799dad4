//! The order of a list of tokens or routes, and the position of a page in it.

use contract::usage::UsageSort;
use domain::id::TeamId;
use domain::time::UnixMs;
use domain::usage::report::Counts;
use serde::Deserialize;
use std::cmp::Ordering;

/// A token or a route.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Entity {
    pub id: String,
    /// The token's name, or the route's path.
    pub name: String,
    /// Team of a token.
    #[serde(default)]
    pub team_id: Option<TeamId>,
    /// Time of its last call.
    #[serde(default)]
    pub last_at: Option<UnixMs>,
}

/// The value that a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue {
    Number(i64),
    Text(String),
}

/// Sort value and id of the last item seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    pub value: SortValue,
    pub id: String,
}

/// Returns an entity's place in the list.
pub fn place_of(entity: &Entity, counts: Counts, sort: UsageSort) -> After {
    let number = |n: u64| SortValue::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let value = match sort {
        UsageSort::Calls => number(counts.calls),
        UsageSort::Errors => number(counts.calls.saturating_sub(counts.ok)),
        UsageSort::LastUsed => SortValue::Number(entity.last_at.unwrap_or(0)),
        // As `lower` does in SQL.
        UsageSort::Name => SortValue::Text(entity.name.to_ascii_lowercase()),
    };
    After { value, id: entity.id.clone() }
}

/// Compares places: names ascending, numbers descending, then ids.
pub fn compare(a: &After, b: &After) -> Ordering {
    let values = match (&a.value, &b.value) {
        (SortValue::Number(a), SortValue::Number(b)) => b.cmp(a),
        (a, b) => a.cmp(b),
    };
    values.then_with(|| a.id.cmp(&b.id))
}

/// Returns the items of a page in order: those that come after `after`, at most `limit`.
pub fn page_of<T>(mut items: Vec<(After, T)>, after: Option<&After>, limit: usize) -> Vec<(After, T)> {
    if let Some(after) = after {
        items.retain(|(place, _)| compare(place, after) == Ordering::Greater);
    }
    items.sort_unstable_by(|(a, _), (b, _)| compare(a, b));
    items.truncate(limit);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(sort: UsageSort) -> Vec<(After, ())> {
        let of = |(id, name, calls, ok, last_at): (&str, &str, u64, u64, Option<i64>)| {
            let entity = Entity { id: id.into(), name: name.into(), team_id: None, last_at };
            (place_of(&entity, Counts { calls, ok, ..Counts::default() }, sort), ())
        };
        [
            ("1", "b", 5, 5, Some(9)),
            ("2", "A", 0, 0, None),
            ("3", "Ä", 7, 1, Some(3)),
            ("4", "a", 5, 4, Some(9)),
            ("5", "c", 0, 0, None),
        ]
        .map(of)
        .into()
    }

    #[test]
    fn a_list_is_the_same_in_one_page_and_in_many() {
        for (sort, wanted) in [
            (UsageSort::Calls, "31425"),
            (UsageSort::Errors, "34125"),
            (UsageSort::LastUsed, "14325"),
            (UsageSort::Name, "24153"),
        ] {
            let ids =
                |page: &[(After, ())]| page.iter().map(|(place, ())| place.id.as_str()).collect::<String>();
            assert_eq!(ids(&page_of(items(sort), None, 9)), wanted, "{sort:?}");
            for limit in 1..4 {
                let (mut after, mut seen) = (None, String::new());
                loop {
                    let page = page_of(items(sort), after.as_ref(), limit);
                    let Some((last, ())) = page.last() else { break };
                    seen.push_str(&ids(&page));
                    after = Some(last.clone());
                }
                assert_eq!(seen, wanted, "{sort:?} {limit}");
            }
        }
    }
}
