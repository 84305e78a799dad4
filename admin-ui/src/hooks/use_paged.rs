//! Lists that are fetched page by page.

use super::{Remote, use_remote};
use crate::api::CallError;
use crate::route::Route;
use contract::Page;
use std::collections::BTreeMap;
use std::future::Future;
use yew::prelude::*;
use yew_router::prelude::*;

/// One page of a list, with the ways to its neighbours.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    pub remote: Remote<Page<T>>,
    /// The page's number, from 1.
    pub number: usize,
    pub on_previous: Option<Callback<()>>,
    pub on_next: Option<Callback<()>>,
}

impl<T> Paged<T> {
    /// Returns the number of items that are shown.
    pub fn items(&self) -> usize {
        self.remote.state.ready().map_or(0, |page| page.items.len())
    }
}

impl<T> Paged<T> {
    /// Returns the number of items on all pages, if the list is counted.
    pub fn total(&self) -> Option<u64> {
        self.remote.state.ready().and_then(|page| page.total)
    }
}

type Query = BTreeMap<String, String>;

/// Fetches a list page by page. The way to the page is in the address, in `name`: the cursors of the pages after the
/// first. So a page survives reload, Back and a bookmark. Another filter replaces the address, and begins at page one.
#[hook]
pub fn use_paged<Q, T, F, Fut>(name: &'static str, query: Q, fetch: F) -> Paged<T>
where
    Q: Clone + PartialEq + 'static,
    T: 'static,
    F: Fn(Q, Option<String>) -> Fut + 'static,
    Fut: Future<Output = Result<Page<T>, CallError>> + 'static,
{
    let address = use_location().and_then(|location| location.query::<Query>().ok()).unwrap_or_default();
    let (navigator, route) = (use_navigator(), use_route::<Route>());
    let cursors: Vec<String> =
        address.get(name).map(|trail| trail.split('.').map(ToOwned::to_owned).collect()).unwrap_or_default();
    let remote = use_remote((query, cursors.last().cloned()), move |(query, cursor)| fetch(query, cursor));

    let go = |cursors: &[String]| {
        let (navigator, route, mut address) = (navigator.clone(), route.clone(), address.clone());
        address.remove(name);
        if !cursors.is_empty() {
            // A cursor is base64url, so it holds no dot.
            address.insert(name.to_owned(), cursors.join("."));
        }
        Callback::from(move |()| {
            if let (Some(navigator), Some(route)) = (&navigator, &route) {
                // This cannot fail: texts can be written as a query.
                let _ = navigator.push_with_query(route, &address);
            }
        })
    };
    let on_previous = cursors.split_last().map(|(_, before)| go(before));
    let on_next = remote.state.ready().and_then(|page| page.next_cursor.clone()).map(|next| {
        let mut cursors = cursors.clone();
        cursors.push(next);
        go(&cursors)
    });
    Paged { number: cursors.len() + 1, on_previous, on_next, remote }
}
