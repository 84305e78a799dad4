//! A page's filters, kept in its address.

use crate::route::Route;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use yew::prelude::*;
use yew_router::prelude::*;

/// Keeps a list's filters in the address, so that they survive reload, Back and a bookmark. An unreadable
/// filter counts as absent.
#[hook]
pub fn use_query<Q>() -> (Q, Callback<Q>)
where
    Q: Clone + Default + PartialEq + Serialize + DeserializeOwned + 'static,
{
    let query = use_location().and_then(|location| location.query::<Q>().ok()).unwrap_or_default();
    let (navigator, route) = (use_navigator(), use_route::<Route>());
    let set = Callback::from(move |query: Q| {
        if let (Some(navigator), Some(route)) = (&navigator, &route) {
            // Replace: a letter typed into a search field is not a page to go back to. This cannot fail: every
            // filter can be written as a query.
            let _ = navigator.replace_with_query(route, &query);
        }
    });
    (query, set)
}

/// Keeps a part of the address that stands beside the page's own filters, which stay as they are. A change leads back to
/// the first page of the list.
#[hook]
pub fn use_part_of_query<Q>() -> (Q, Callback<Q>)
where
    Q: Clone + Default + PartialEq + Serialize + DeserializeOwned + 'static,
{
    let location = use_location();
    let part = location.as_ref().and_then(|location| location.query::<Q>().ok()).unwrap_or_default();
    let all = location.and_then(|location| location.query::<Map<String, Value>>().ok()).unwrap_or_default();
    let (navigator, route) = (use_navigator(), use_route::<Route>());
    let old = part.clone();
    let set = Callback::from(move |new: Q| {
        let (Some(navigator), Some(route)) = (&navigator, &route) else { return };
        let mut all = all.clone();
        all.remove("pages");
        // No filter fails to be written; one that did would change nothing.
        if let (Ok(Value::Object(old)), Ok(Value::Object(new))) =
            (serde_json::to_value(&old), serde_json::to_value(&new))
        {
            all.retain(|name, _| !old.contains_key(name));
            // A query has no nulls.
            all.extend(new.into_iter().filter(|(_, value)| !value.is_null()));
            let _ = navigator.replace_with_query(route, &all);
        }
    });
    (part, set)
}
