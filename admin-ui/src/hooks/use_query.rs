//! A page's filters, kept in its address.

use crate::route::Route;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
