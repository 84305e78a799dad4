//! Lists that are fetched page by page.

use super::{Remote, use_remote};
use crate::api::CallError;
use contract::Page;
use std::future::Future;
use yew::prelude::*;

/// One page of a list, with the ways to its neighbours.
#[derive(Clone, Debug)]
pub struct Paged<T> {
    pub remote: Remote<Page<T>>,
    /// The page's number, from 1.
    pub number: usize,
    pub on_previous: Option<Callback<()>>,
    pub on_next: Option<Callback<()>>,
}

/// Fetches a list page by page. A new query begins at its first page.
#[hook]
pub fn use_paged<Q, T, F, Fut>(query: Q, fetch: F) -> Paged<T>
where
    Q: Clone + PartialEq + 'static,
    T: 'static,
    F: Fn(Q, Option<String>) -> Fut + 'static,
    Fut: Future<Output = Result<Page<T>, CallError>> + 'static,
{
    // The cursors of the pages after the first, up to the one that is shown.
    let trail = use_state(|| (query.clone(), Vec::<String>::new()));
    let cursors = if trail.0 == query { trail.1.clone() } else { vec![] };
    let remote =
        use_remote((query.clone(), cursors.last().cloned()), move |(query, cursor)| fetch(query, cursor));

    let go = |cursors: Vec<String>| {
        let (trail, query) = (trail.setter(), query.clone());
        Callback::from(move |()| trail.set((query.clone(), cursors.clone())))
    };
    let on_previous = cursors.split_last().map(|(_, before)| go(before.to_vec()));
    let on_next = remote.state.ready().and_then(|page| page.next_cursor.clone()).map(|next| {
        let mut cursors = cursors.clone();
        cursors.push(next);
        go(cursors)
    });
    Paged { number: cursors.len() + 1, on_previous, on_next, remote }
}
