//! The addresses of the pages. People bookmark them, so they do not change.

use yew_router::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Routable)]
pub enum Route {
    #[at("/")]
    Home,
    #[at("/system-health")]
    SystemHealth,
    #[not_found]
    #[at("/404")]
    NotFound,
}
