//! The name of a thing whose id is known, such as one from the address.

use super::use_remote;
use crate::api::use_api;
use contract::routes::GetRoute;
use contract::teams::GetTeam;
use contract::tokens::GetToken;
use yew::prelude::*;

/// A thing by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Token(String),
    Route(String),
    Team(String),
}

impl Named {
    fn id(&self) -> &str {
        match self {
            Self::Token(id) | Self::Route(id) | Self::Team(id) => id,
        }
    }
}

/// Returns the name of a token or a team, or the path of a route. Its id stands in while the name is not known.
#[hook]
pub fn use_name(of: Option<&Named>) -> String {
    let api = use_api();
    let read = use_remote(of.cloned(), move |of: Option<Named>| {
        let api = api.clone();
        async move {
            let Some(of) = of else { return Ok(None) };
            let name = match &of {
                Named::Token(id) => api.request::<GetToken>().path(&[id]).send().await?.name,
                Named::Route(id) => {
                    api.request::<GetRoute>().path(&[id]).send().await?.path.as_str().to_owned()
                }
                Named::Team(id) => api.request::<GetTeam>().path(&[id]).send().await?.name,
            };
            Ok(Some((of, name)))
        }
    });
    let known = read.state.ready().and_then(|read| read.as_ref().as_ref());
    // The name that was read last may be that of the thing before.
    let name = known.filter(|(known, _)| of == Some(known)).map(|(_, name)| name.clone());
    name.unwrap_or_else(|| of.map(|of| of.id().to_owned()).unwrap_or_default())
}
