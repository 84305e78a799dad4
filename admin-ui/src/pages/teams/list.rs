//! The list of teams, as cards.

use super::badge_of;
use super::form::TeamForm;
use crate::components::{AsyncView, Button, Page, RoleLabel};
use crate::format;
use crate::hooks::use_teams;
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::session::{can, use_me};
use contract::teams::TeamView;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

/// `/teams`
#[component]
pub fn TeamsPage() -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let teams = use_teams();
    let is_creating = use_state_eq(|| false);
    let set_creating = |value: bool| {
        let is_creating = is_creating.setter();
        Callback::from(move |()| is_creating.set(value))
    };
    let actions = html! {
        if can(&me, Action::CreateTeam, Subject::default()) {
            <Button variant={ButtonVariant::Primary} icon={Icon::PlusCircle} label={i18n.t("teams.create").to_string()} onclick={set_creating(true).reform(|_| ())} />
        }
    };
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |teams: Rc<Vec<TeamView>>| {
            html! { <ul class="tm-team-cards" role="list">{ for teams.iter().map(|team| card(&i18n, team)) }</ul> }
        })
    };
    html! {
        <Page title={i18n.t("teams.title")} summary={i18n.t("teams.summary")} {actions}>
            <AsyncView<Vec<TeamView>>
                state={teams.state}
                on_retry={teams.on_refresh.clone()}
                {render}
                is_empty={Callback::from(|teams: Rc<Vec<TeamView>>| teams.is_empty())}
            />
            if *is_creating {
                <TeamForm on_close={set_creating(false)} on_changed={teams.on_refresh} />
            }
        </Page>
    }
}

fn card(i18n: &I18n, team: &TeamView) -> Html {
    let (members, tokens) = (u64::from(team.members), u64::from(team.tokens));
    html! {
        <li key={team.id.to_string()}>
            <Card full_height=true>
                <CardBody>
                    <div class="tm-person">
                        { badge_of(team) }
                        <span>
                            <h2 class="tm-heading"><Link<Route> to={Route::Team { id: team.id.to_string() }}>{ &team.name }</Link<Route>></h2>
                            <span class="tm-subtle tm-mono">{ team.id.to_string() }</span>
                        </span>
                    </div>
                    if let Some(description) = &team.description {
                        <p>{ description }</p>
                    }
                    <p class="tm-subtle">
                        { i18n.fill("teams.counts", &[("members", &format::number(i18n, members)), ("tokens", &format::number(i18n, tokens))]) }
                    </p>
                    if let Some(role) = team.your_role {
                        <RoleLabel {role} />
                    }
                </CardBody>
            </Card>
        </li>
    }
}
