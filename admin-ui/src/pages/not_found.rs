//! The page of an unknown address.

use crate::components::Page;
use crate::i18n::use_i18n;
use crate::route::Route;
use yew::prelude::*;
use yew_router::prelude::*;

#[component]
pub fn NotFoundPage() -> Html {
    let i18n = use_i18n();
    let path = use_location().map(|location| location.path().to_owned()).unwrap_or_default();
    html! {
        <Page title={i18n.t("not-found.title")} summary={i18n.fill("not-found.advice", &[("path", &path)])}>
            <div>
                <Link<Route> to={Route::Home} classes="pf-v6-c-button pf-m-primary">
                    { i18n.t("not-found.home") }
                </Link<Route>>
            </div>
        </Page>
    }
}
