//! The page of a person without a team.

use crate::components::Page;
use crate::i18n::use_i18n;
use crate::state::session::use_me;
use patternfly_yew::prelude::*;
use yew::prelude::*;

/// The page of a person who is signed in but not in a team.
#[component]
pub fn WaitingPage() -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let who = me.email.clone().unwrap_or_else(|| me.id.to_string());
    html! {
        <Page title={i18n.t("waiting.title")} summary={i18n.t("waiting.summary")}>
            <Card>
                <CardBody>
                    <p>{ i18n.t("waiting.advice") }</p>
                    <p class="tm-address">{ i18n.fill("waiting.who", &[("who", &who)]) }</p>
                </CardBody>
            </Card>
        </Page>
    }
}
