//! One team with its members.

use super::badge_of;
use super::form::TeamForm;
use crate::api::{Api, CallError, use_api};
use crate::components::{
    AsyncView, Avatar, Button, Column, DataTable, FormDialog, Page, RoleLabel, Row, ScopeLabel, Submission,
    Time, limits_list,
};
use crate::hooks::{use_action, use_last_ready, use_remote};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::people::Member;
use contract::teams::{DeleteTeam, GetTeam, ListMembers, MemberQuery, TeamView};
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TeamPageProps {
    pub id: String,
}

type Shown = (Rc<TeamView>, Vec<Member>);

async fn read(api: &Api, id: &str) -> Result<Shown, CallError> {
    let team = api.request::<GetTeam>().path(&[id]).send().await?;
    let query = MemberQuery { limit: Some(contract::MAX_LIMIT), cursor: None };
    let members = api.request::<ListMembers>().path(&[id]).query(&query).send().await?;
    Ok((Rc::new(team), members.items))
}

/// `/teams/:id`
#[component]
pub fn TeamPage(props: &TeamPageProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast, navigator) = (use_api(), use_me(), use_toast(), use_navigator());
    let shown = {
        let api = api.clone();
        use_remote(props.id.clone(), move |id| {
            let api = api.clone();
            async move { read(&api, &id).await }
        })
    };
    let (is_editing, is_deleting) = (use_state_eq(|| false), use_state_eq(|| false));
    let set = |state: &UseStateHandle<bool>, value: bool| {
        let state = state.setter();
        Callback::from(move |()| state.set(value))
    };
    let on_deleted = {
        let i18n = i18n.clone();
        Callback::from(move |_: TeamView| {
            toast.emit((Tone::Success, i18n.t("teams.deleted")));
            if let Some(navigator) = &navigator {
                navigator.push(&Route::Teams);
            }
        })
    };
    let delete = {
        let id = props.id.clone();
        use_action(
            move |()| {
                let (api, id) = (api.clone(), id.clone());
                async move { api.request::<DeleteTeam>().path(&[&id]).send().await }
            },
            on_deleted,
        )
    };
    let team = shown.state.ready().map(|shown| Rc::clone(&shown.0));
    let actions = team.as_ref().map(|team| {
        let may = |action| can(&me, action, Subject::team(&team.id));
        let is_empty = team.members == 0 && team.tokens == 0 && !team.id.is_core();
        html! {
            <>
                if may(Action::EditTeam) {
                    <Button variant={ButtonVariant::Primary} label={i18n.t("teams.edit").to_string()} onclick={set(&is_editing, true).reform(|_| ())} />
                }
                if may(Action::DeleteTeam) && is_empty {
                    <Button variant={ButtonVariant::DangerSecondary} label={i18n.t("teams.delete").to_string()} onclick={set(&is_deleting, true).reform(|_| ())} />
                }
            </>
        }
    });
    let render = {
        let i18n = i18n.clone();
        Callback::from(move |shown: Rc<Shown>| {
            html! { <div class="tm-stack">{ summary(&i18n, &shown.0) }{ members(&i18n, &shown.1) }</div> }
        })
    };
    let title = team.as_ref().map_or_else(|| i18n.t("team.title"), |team| team.name.clone().into());
    let parent = html! { <Link<Route> to={Route::Teams}>{ i18n.t("teams.title") }</Link<Route>> };
    let name = team.as_ref().map(|team| team.name.clone()).unwrap_or_default();
    let delete_label = i18n.t("teams.delete");
    let last = use_last_ready(&shown.state).map(|shown| Rc::clone(&shown.0));
    html! {
        <Page {title} {parent} actions={actions.unwrap_or_default()}>
            <AsyncView<Shown> state={shown.state} on_retry={shown.on_refresh.clone()} {render} />
            if *is_editing {
                if let Some(team) = last {
                    <TeamForm {team} on_close={set(&is_editing, false)} on_changed={shown.on_refresh} />
                }
            }
            if *is_deleting {
                <FormDialog label={delete_label.clone()} title={delete_label} submission={Submission::from(delete)} on_close={set(&is_deleting, false)} is_danger=true>
                    <p>{ i18n.fill("teams.delete-advice", &[("name", &name)]) }</p>
                </FormDialog>
            }
        </Page>
    }
}

/// The filter of `/tokens` and `/usage`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
struct OfTeam {
    team: String,
}

fn summary(i18n: &I18n, team: &TeamView) -> Html {
    let query = OfTeam { team: team.id.to_string() };
    html! {
        <Card>
            <CardBody>
                <div class="tm-person">{ badge_of(team) }<code>{ team.id.to_string() }</code></div>
                <DescriptionList mode={[DescriptionListMode::Horizontal.on(Breakpoint::Medium)]}>
                    if let Some(description) = &team.description {
                        <DescriptionGroup term={i18n.t("team.description")}>{ description }</DescriptionGroup>
                    }
                    <DescriptionGroup term={i18n.t("tokens.title")}>
                        <Link<Route, OfTeam> to={Route::Tokens} query={query.clone()}>{ team.tokens }</Link<Route, OfTeam>>
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("usage.calls")}>
                        <Link<Route, OfTeam> to={Route::Usage} {query}>{ i18n.t("token.see-usage") }</Link<Route, OfTeam>>
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("team.cap")}>
                        if let Some(cap) = &team.scope_cap {
                            <span class="tm-labels">{ for cap.iter().map(|scope| html! { <ScopeLabel scope={scope.clone()} /> }) }</span>
                        } else {
                            { i18n.t("team.unbound") }
                        }
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("limit.defaults")}>
                        if team.limits.is_empty() {
                            { i18n.t("limit.none") }
                        } else {
                            { limits_list(i18n, &team.limits) }
                        }
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("limit.budget")}>
                        if team.budget.is_empty() {
                            { i18n.t("limit.none") }
                        } else {
                            { limits_list(i18n, &team.budget) }
                        }
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("team.zone")}>
                        { team.zone.as_ref().map_or("UTC", |zone| &zone.name) }
                    </DescriptionGroup>
                    <DescriptionGroup term={i18n.t("token.created")}><Time at={team.created_at} /></DescriptionGroup>
                </DescriptionList>
            </CardBody>
        </Card>
    }
}

fn members(i18n: &I18n, members: &[Member]) -> Html {
    let columns =
        [i18n.t("users.person"), i18n.t("team.role"), i18n.t("team.live-tokens"), i18n.t("team.since")]
            .map(Column::new);
    let rows: Vec<Row> = members
        .iter()
        .map(|member| {
            let name =
                member.name.clone().or_else(|| member.email.clone()).unwrap_or_else(|| member.id.to_string());
            let cells = vec![
                html! {
                    <span class="tm-person">
                        <Avatar name={name.clone()} url={member.avatar_url.clone()} />
                        <span>
                            { &name }
                            if let Some(email) = &member.email {
                                <div class="tm-subtle tm-address">{ email }</div>
                            }
                        </span>
                    </span>
                },
                html! { <RoleLabel role={member.role} /> },
                html! { { member.live_tokens } },
                html! { <Time at={member.since} /> },
            ];
            (member.id.to_string(), cells)
        })
        .collect();
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("team.members") }</CardTitle>
            <CardBody>
                if rows.is_empty() {
                    <p class="tm-subtle">{ i18n.t("team.no-members") }</p>
                } else {
                    <DataTable label={i18n.t("team.members")} columns={columns.to_vec()} {rows} />
                }
            </CardBody>
        </Card>
    }
}
