//! The places that a token is used from, and whether one is new.

use crate::time::{DAY_MS, UnixMs};
use std::net::IpAddr;

/// The time for which a place is remembered.
pub const REMEMBERED_MS: i64 = 30 * DAY_MS;
/// The time for which a token's places are learnt before a new one is told of.
const LEARNT_MS: i64 = 7 * DAY_MS;
/// The addresses of a token from which on it counts as used from everywhere, and no address is new.
pub const MOST_ADDRESSES: usize = 30;
/// The time after which a place is noted again.
const NOTED_MS: i64 = DAY_MS;

const COUNTRY: &str = "country:";
const ADDRESS: &str = "address:";

/// Returns the place of a country.
pub fn of_country(code: &str) -> Option<String> {
    let is_code = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) && code != "XX";
    is_code.then(|| format!("{COUNTRY}{code}"))
}

/// Returns the place of an address: of IPv6 its network of 64 bits, since clients change the rest at will.
pub fn of_address(address: &str) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    let address = match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    };
    Some(format!("{ADDRESS}{address}"))
}

/// Returns the place as people read it.
pub fn shown(place: &str) -> &str {
    place.split_once(':').map_or(place, |(_, shown)| shown)
}

/// A place that is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The place.
    pub place: String,
    /// When it was first noted, unix ms.
    pub first_at: UnixMs,
    /// When it was last noted, unix ms.
    pub seen_at: UnixMs,
}

/// The places that a token was used from, judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged<'a> {
    /// Those to be noted.
    pub noted: Vec<&'a str>,
    /// The one to be told of: a country rather than an address.
    pub told: Option<&'a str>,
}

/// Judges the places of a token's latest calls by those that are known of it.
pub fn judge<'a>(used: &[&'a str], known: &[Known], now: UnixMs) -> Judged<'a> {
    let alive: Vec<&Known> = known.iter().filter(|one| one.seen_at >= now - REMEMBERED_MS).collect();
    let has_learnt = known.iter().any(|one| one.first_at <= now - LEARNT_MS);
    let mut addresses = alive.iter().filter(|one| one.place.starts_with(ADDRESS)).count();
    let mut judged = Judged::default();
    for place in used {
        match alive.iter().find(|one| one.place == *place) {
            Some(one) if one.seen_at > now - NOTED_MS => {}
            Some(_) => judged.noted.push(place),
            None => {
                let is_address = place.starts_with(ADDRESS);
                if is_address && addresses >= MOST_ADDRESSES {
                    continue;
                }
                addresses += usize::from(is_address);
                judged.noted.push(place);
                let is_first = judged.told.is_none_or(|told| told.starts_with(ADDRESS) && !is_address);
                // Of a kind of place of which nothing is known, nothing is new.
                let kind = if is_address { ADDRESS } else { COUNTRY };
                if has_learnt && is_first && known.iter().any(|one| one.place.starts_with(kind)) {
                    judged.told = Some(place);
                }
            }
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::HOUR_MS;

    const NOW: UnixMs = 1_000 * DAY_MS;

    fn known(place: &str, first_days: i64, seen_days: i64) -> Known {
        Known {
            place: place.to_owned(),
            first_at: NOW - first_days * DAY_MS,
            seen_at: NOW - seen_days * DAY_MS,
        }
    }

    #[test]
    fn places_are_countries_and_addresses() {
        assert_eq!(of_country("TW").as_deref(), Some("country:TW"));
        assert_eq!([of_country("XX"), of_country("T1"), of_country("")], [None, None, None]);
        assert_eq!(of_address("203.0.113.7").as_deref(), Some("address:203.0.113.7"));
        assert_eq!(of_address("::ffff:203.0.113.7").as_deref(), Some("address:203.0.113.7"));
        assert_eq!(of_address("2001:db8:1:2:3::4").as_deref(), Some("address:2001:db8:1:2::/64"));
        assert_eq!(of_address("nonsense"), None);
        assert_eq!(shown("address:2001:db8:1:2::/64"), "2001:db8:1:2::/64");
    }

    #[test]
    fn a_place_that_was_not_seen_for_30_days_is_new_and_one_that_was_is_not() {
        let habits =
            [known("country:TW", 90, 2), known("address:1.1.1.1", 90, 2), known("country:US", 90, 31)];
        let judge = |used: &[&'static str]| judge(used, &habits, NOW);
        assert_eq!(judge(&["country:TW"]), Judged { noted: vec!["country:TW"], told: None }, "noted again");
        assert_eq!(judge(&["country:US"]).told, Some("country:US"));
        assert_eq!(judge(&["address:9.9.9.9", "country:JP"]).told, Some("country:JP"), "a country says more");
        assert_eq!(judge(&["country:JP", "address:9.9.9.9"]).told, Some("country:JP"));
        assert_eq!(judge(&["country:TW", "address:9.9.9.9"]).told, Some("address:9.9.9.9"));
        let today = [Known { seen_at: NOW - HOUR_MS, ..known("country:TW", 90, 0) }];
        assert_eq!(super::judge(&["country:TW"], &today, NOW), Judged::default(), "noted today");
    }

    #[test]
    fn a_token_is_learnt_for_a_week_first() {
        assert_eq!(judge(&["country:TW"], &[], NOW), Judged { noted: vec!["country:TW"], told: None });
        let young = [known("country:TW", 6, 1)];
        assert_eq!(judge(&["country:US"], &young, NOW).told, None);
        let addresses_alone = [known("address:1.1.1.1", 90, 1)];
        assert_eq!(
            judge(&["country:US"], &addresses_alone, NOW).told,
            None,
            "countries were not known before"
        );
    }

    #[test]
    fn a_token_that_is_used_from_everywhere_fills_no_table() {
        let many: Vec<Known> =
            (0..MOST_ADDRESSES).map(|n| known(&format!("address:10.0.0.{n}"), 90, 1)).collect();
        assert_eq!(judge(&["address:9.9.9.9"], &many, NOW), Judged::default());
        let used: Vec<String> = (0..200).map(|n| format!("address:11.0.0.{n}")).collect();
        let used: Vec<&str> = used.iter().map(String::as_str).collect();
        assert_eq!(judge(&used, &[], NOW).noted.len(), MOST_ADDRESSES);
    }
}
