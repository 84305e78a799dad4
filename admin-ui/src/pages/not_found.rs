use crate::hooks::use_title;
use crate::i18n::use_i18n;
use crate::route::Route;
use patternfly_yew::prelude::*;
use yew::prelude::*;
use yew_router::prelude::*;

#[component]
pub fn NotFoundPage() -> Html {
    let i18n = use_i18n();
    let path = use_location().map(|location| location.path().to_owned()).unwrap_or_default();
    let title = i18n.t("not-found.title");
    use_title(title.clone(), i18n.t("app.name"));
    html! {
        <PageSection>
            <EmptyState title={title.to_string()} icon={Icon::Search}>
                <p class="tm-address">{ i18n.fill("not-found.advice", &[("path", &path)]) }</p>
                <Link<Route> to={Route::Home} classes="pf-v6-c-button pf-m-link">
                    { i18n.t("not-found.home") }
                </Link<Route>>
            </EmptyState>
        </PageSection>
    }
}
