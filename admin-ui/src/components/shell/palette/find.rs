//! The things that the API finds by a text.

use crate::api::{CallError, use_api};
use crate::hooks::{Remote, team_name, use_remote, use_teams};
use contract::people::{ListPeople, PeopleQuery, PersonView};
use contract::routes::{ListRoutes, RouteQuery, RouteView};
use contract::teams::TeamView;
use contract::tokens::{ListTokens, TokenQuery, TokenView};
use domain::id::TeamId;
use std::future::Future;
use std::rc::Rc;
use yew::prelude::*;

/// Shown of each kind.
const SHOWN: u32 = 5;

/// Tokens, routes and people that match, and every team.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub tokens: Rc<Vec<TokenView>>,
    pub routes: Rc<Vec<RouteView>>,
    pub people: Rc<Vec<PersonView>>,
    pub teams: Rc<Vec<TeamView>>,
    /// Whether an answer is still awaited.
    pub is_loading: bool,
    pub has_failed: bool,
}

impl Found {
    pub fn team(&self, id: &TeamId) -> String {
        team_name(&self.teams, id)
    }
}

/// Looks for a text at once among tokens, routes and people.
#[hook]
pub fn use_found(text: &str) -> Found {
    let api = use_api();
    let tokens = {
        let api = api.clone();
        use_list(text, move |search| {
            let (api, query) =
                (api.clone(), TokenQuery { search, limit: Some(SHOWN), ..TokenQuery::default() });
            async move { Ok(api.request::<ListTokens>().query(&query).send().await?.items) }
        })
    };
    let routes = {
        let api = api.clone();
        use_list(text, move |search| {
            let (api, query) =
                (api.clone(), RouteQuery { search, limit: Some(SHOWN), ..RouteQuery::default() });
            async move { Ok(api.request::<ListRoutes>().query(&query).send().await?.items) }
        })
    };
    let people = use_list(text, move |search| {
        let (api, query) =
            (api.clone(), PeopleQuery { search, limit: Some(SHOWN), ..PeopleQuery::default() });
        // Not everybody may look for people.
        async move {
            Ok(api
                .request::<ListPeople>()
                .query(&query)
                .send()
                .await
                .map(|page| page.items)
                .unwrap_or_default())
        }
    });
    Found {
        is_loading: tokens.is_loading || routes.is_loading || people.is_loading,
        has_failed: tokens.state.is_failed() || routes.state.is_failed(),
        tokens: tokens.state.ready().cloned().unwrap_or_default(),
        routes: routes.state.ready().cloned().unwrap_or_default(),
        people: people.state.ready().cloned().unwrap_or_default(),
        teams: use_teams().state.ready().cloned().unwrap_or_default(),
    }
}

/// Reads one list; nothing for an empty text.
#[hook]
fn use_list<T, F, Fut>(text: &str, fetch: F) -> Remote<Vec<T>>
where
    T: 'static,
    F: Fn(Option<String>) -> Fut + 'static,
    Fut: Future<Output = Result<Vec<T>, CallError>> + 'static,
{
    use_remote(text.trim().to_owned(), move |search: String| {
        let answer = (!search.is_empty()).then(|| fetch(Some(search)));
        async move {
            match answer {
                Some(answer) => answer.await,
                None => Ok(vec![]),
            }
        }
    })
}
