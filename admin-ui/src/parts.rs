//! The pages of members, in the parts of the program that are loaded when one of their pages is first opened. The build cuts
//! the parts off (`#[wasm_split]`); code that two of them share becomes a part of its own, which comes along.
#![expect(clippy::unnecessary_wraps, reason = "a part that cannot be loaded is an error; a page is none")]

use crate::api::{CallError, Reason};
use crate::pages;
use crate::route::Route;
use futures_util::FutureExt;
use wasm_split_helpers::{SplitLoaderError, wasm_split};
use yew::prelude::*;

impl From<SplitLoaderError> for CallError {
    fn from(_: SplitLoaderError) -> Self {
        Self { url: "program".to_owned(), reason: Reason::Unreachable }
    }
}

/// A part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first page.
    Home,
    /// Numbers about calls, and the calls.
    Usage,
    /// Tokens and routes.
    Access,
    /// People, and what an operator needs.
    Records,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Home, Self::Usage, Self::Access, Self::Records];

    /// Returns the part with the page of an address.
    pub fn of(route: &Route) -> Self {
        match route {
            // Those who are signed in are led to the first page.
            Route::Dashboard | Route::Home | Route::SignIn => Self::Home,
            Route::Usage
            | Route::Calls
            | Route::UsageAnalytics
            | Route::TokenUsageList
            | Route::TokenUsage { .. }
            | Route::RouteUsageList
            | Route::RouteUsage
            | Route::Stats => Self::Usage,
            Route::Tokens | Route::Token { .. } | Route::Routes | Route::RouteDetail { .. } => Self::Access,
            _ => Self::Records,
        }
    }

    /// Loads the part, once in a page's life.
    pub async fn load(self) -> Result<Self, CallError> {
        match self {
            Self::Home => load_home().await,
            Self::Usage => load_usage().await,
            Self::Access => load_access().await,
            Self::Records => load_records().await,
        }?;
        Ok(self)
    }

    /// Draws the page of an address, whose part this is. Nothing is shown before the part is loaded.
    pub fn draw(self, route: Route) -> Html {
        let page = match self {
            Self::Home => home(route).now_or_never(),
            Self::Usage => usage(route).now_or_never(),
            Self::Access => access(route).now_or_never(),
            Self::Records => records(route).now_or_never(),
        };
        page.and_then(Result::ok).unwrap_or_default()
    }
}

// Pages of one thing have its id as their key: nothing that belongs to one may stay on the page of another.

#[wasm_split(home, fallible, preload(load_home))]
fn home(_: Route) -> Result<Html, CallError> {
    Ok(html! { <pages::HomePage /> })
}

#[wasm_split(usage, fallible, preload(load_usage))]
fn usage(route: Route) -> Result<Html, CallError> {
    Ok(match route {
        Route::Usage => html! { <pages::ExplorerPage /> },
        Route::Calls => html! { <pages::CallsPage /> },
        from => html! { <pages::MovedPage {from} /> },
    })
}

#[wasm_split(access, fallible, preload(load_access))]
fn access(route: Route) -> Result<Html, CallError> {
    Ok(match route {
        Route::Token { id } => html! { <pages::TokenPage key={id.as_str()} id={id.clone()} /> },
        Route::Routes => html! { <pages::RoutesPage /> },
        Route::RouteDetail { id } => html! { <pages::RoutePage key={id.as_str()} id={id.clone()} /> },
        _ => html! { <pages::TokensPage /> },
    })
}

#[wasm_split(records, fallible, preload(load_records))]
fn records(route: Route) -> Result<Html, CallError> {
    Ok(match route {
        Route::Teams => html! { <pages::TeamsPage /> },
        Route::Team { id } => html! { <pages::TeamPage key={id.as_str()} id={id.clone()} /> },
        Route::Users => html! { <pages::UsersPage /> },
        Route::Channels => html! { <pages::ChannelsPage /> },
        Route::Keys => html! { <pages::KeysPage /> },
        Route::Import => html! { <pages::ImportPage /> },
        Route::AuditLogs => html! { <pages::AuditPage /> },
        Route::AuditVerify => html! { <pages::AuditVerifyPage /> },
        Route::SystemHealth => html! { <pages::HealthPage /> },
        Route::Prices => html! { <pages::PricesPage /> },
        from @ Route::Settings => html! { <pages::MovedPage {from} /> },
        _ => html! { <pages::NotFoundPage /> },
    })
}
