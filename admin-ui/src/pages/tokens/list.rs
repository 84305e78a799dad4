//! The list of tokens.

use super::create::CreateToken;
use crate::api::use_api;
use crate::clock;
use crate::components::{
    AsyncView, Button, Column, DataTable, Empty, Page, Pager, ScopeLabel, SearchField, Select, Standing,
    StandingLabel, Time, course_cell, is_stale, name_of,
};
use crate::hooks::{
    Courses, Remote, team_name, use_courses, use_creating, use_debounced, use_paged, use_query, use_routes,
    use_teams,
};
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::session::use_me;
use contract::Page as Items;
use contract::routes::RouteView;
use contract::teams::TeamView;
use contract::tokens::{ListTokens, StateFilter, TokenQuery, TokenSort, TokenView};
use contract::usage::GroupBy;
use domain::people::role::Action;
use patternfly_yew::prelude::*;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

const STILL_MS: u32 = 250;
const SCOPES_SHOWN: usize = 3;

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filter {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    search: String,
    team: Option<String>,
    state: Option<StateFilter>,
    sort: Option<TokenSort>,
}

impl Filter {
    fn query(self, cursor: Option<String>) -> TokenQuery {
        let search = Some(self.search.trim().to_owned()).filter(|text| !text.is_empty());
        let team_id = self.team.map(Into::into);
        TokenQuery { team_id, search, state: self.state, sort: self.sort, limit: None, cursor }
    }
}

/// `/tokens`
#[component]
pub fn TokensPage() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let me = use_me();
    let (filter, on_filter) = use_query::<Filter>();
    let asked = use_debounced(filter.clone(), STILL_MS);
    let tokens = use_paged("pages", asked, move |filter: Filter, cursor| {
        let api = api.clone();
        async move { api.request::<ListTokens>().query(&filter.query(cursor)).send().await }
    });
    let (routes, teams) = (use_routes(), use_teams());
    let may_create = me.caller().teams_for(Action::CreateToken).is_none_or(|teams| !teams.is_empty());
    let is_creating = use_creating(may_create);
    let set_creating = |value: bool| {
        let is_creating = is_creating.setter();
        Callback::from(move |()| is_creating.set(value))
    };
    let actions = html! {
        if may_create {
            <Button
                variant={ButtonVariant::Primary}
                icon={Icon::PlusCircle}
                label={i18n.t("tokens.create").to_string()}
                onclick={set_creating(true).reform(|_| ())}
            />
        }
    };
    let ids =
        tokens.remote.state.ready().map(|page| page.items.iter().map(|token| token.id.to_string()).collect());
    let courses = use_courses(GroupBy::Token, ids.unwrap_or_default());
    let columns = columns(&i18n, &filter, &on_filter);
    let is_busy = tokens.remote.is_loading;
    let render = {
        let (i18n, routes) = (i18n.clone(), routes.state.ready().cloned());
        let teams = teams.state.ready().cloned().unwrap_or_default();
        Callback::from(move |page: Rc<Items<TokenView>>| {
            let row = |token: &TokenView| row(&i18n, token, routes.as_deref(), &teams, courses.as_deref());
            let rows: Vec<_> = page.items.iter().map(row).collect();
            html! { <DataTable label={i18n.t("tokens.title")} columns={columns.clone()} {rows} {is_busy} /> }
        })
    };
    let is_filtered = filter != Filter::default();
    let empty = html! {
        if is_filtered {
            <Empty title={i18n.t("tokens.none-found")} />
        } else {
            <Empty title={i18n.t("tokens.none")}>{ i18n.t("tokens.none-advice") }</Empty>
        }
    };
    let (items, total) = (tokens.items(), tokens.total());
    let Remote { state, on_refresh, .. } = tokens.remote.clone();
    let on_created = on_refresh.clone();
    html! {
        <Page title={i18n.t("tokens.title")} summary={i18n.t("tokens.summary")} {actions}>
            <Filters {filter} {on_filter} teams={teams.state.ready().map(|teams| {
                teams.iter().map(|team| (team.id.to_string().into(), team.name.clone().into())).collect::<Vec<_>>()
            }).unwrap_or_default()} />
            <AsyncView<Items<TokenView>>
                {state}
                on_retry={on_refresh}
                {render}
                is_empty={Callback::from(|page: Rc<Items<TokenView>>| page.items.is_empty())}
                {empty}
            />
            <Pager number={tokens.number} {items} {total} on_previous={tokens.on_previous} on_next={tokens.on_next} />
            if *is_creating {
                <CreateToken
                    routes={routes.state.ready().cloned().unwrap_or_default()}
                    teams={teams.state.ready().cloned().unwrap_or_default()}
                    on_close={set_creating(false)}
                    {on_created}
                />
            }
        </Page>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct FiltersProps {
    filter: Filter,
    on_filter: Callback<Filter>,
    teams: Vec<(AttrValue, AttrValue)>,
}

#[component]
fn Filters(props: &FiltersProps) -> Html {
    let i18n = use_i18n();
    let filter = &props.filter;
    let on_search = {
        let filter = filter.clone();
        props.on_filter.reform(move |search: String| Filter { search, ..filter.clone() })
    };
    let on_team = {
        let filter = filter.clone();
        props.on_filter.reform(move |team: String| Filter {
            team: Some(team).filter(|t| !t.is_empty()),
            ..filter.clone()
        })
    };
    let states = [
        (None, "", i18n.t("filter.any-state")),
        (Some(StateFilter::Active), "active", i18n.t("standing.active")),
        (Some(StateFilter::Disabled), "disabled", i18n.t("standing.disabled")),
        (Some(StateFilter::Expired), "expired", i18n.t("standing.expired")),
        (Some(StateFilter::Revoked), "revoked", i18n.t("standing.revoked")),
    ];
    let state = states.iter().find(|(state, ..)| *state == filter.state).map_or("", |(_, name, _)| name);
    let on_state = {
        let (filter, states) = (filter.clone(), states.clone().map(|(state, name, _)| (state, name)));
        props.on_filter.reform(move |chosen: String| Filter {
            state: states.iter().find(|(_, name)| *name == chosen).and_then(|(state, _)| *state),
            ..filter.clone()
        })
    };
    let mut teams = vec![(AttrValue::Static(""), i18n.t("filter.any-team"))];
    teams.extend(props.teams.iter().cloned());
    html! {
        <div class="tm-toolbar" role="search" aria-label={i18n.t("filter.label")}>
            <SearchField label={i18n.t("tokens.search")} value={filter.search.clone()} on_change={on_search} />
            <Select label={i18n.t("filter.team")} options={teams} value={filter.team.clone().unwrap_or_default()} on_change={on_team} />
            <Select
                label={i18n.t("filter.state")}
                options={states.map(|(_, name, text)| (AttrValue::Static(name), text)).to_vec()}
                value={state}
                on_change={on_state}
            />
        </div>
    }
}

fn columns(i18n: &I18n, filter: &Filter, on_filter: &Callback<Filter>) -> Vec<Column> {
    let sorted = |ascending: TokenSort, descending: TokenSort| {
        let present = filter.sort.unwrap_or_default();
        let is_ascending =
            if present == ascending { Some(true) } else { (present == descending).then_some(false) };
        let next = if is_ascending == Some(true) { descending } else { ascending };
        let next = Filter { sort: Some(next), ..filter.clone() };
        (is_ascending, on_filter.reform(move |()| next.clone()))
    };
    let (by_name, on_name) = sorted(TokenSort::Name, TokenSort::NameDescending);
    let (by_age, on_age) = sorted(TokenSort::OldestFirst, TokenSort::NewestFirst);
    vec![
        Column::new(i18n.t("token.name")).sorted(by_name, on_name),
        Column::new(i18n.t("token.team")).minor(),
        Column::new(i18n.t("token.scopes")).minor(),
        Column::new(i18n.t("token.state")),
        Column::new(i18n.t("usage.last-day")),
        Column::new(i18n.t("token.created")).sorted(by_age, on_age).minor(),
        Column::new(i18n.t("token.expires")),
        Column::new(i18n.t("token.last-used")),
    ]
}

fn row(
    i18n: &I18n,
    token: &TokenView,
    routes: Option<&Vec<RouteView>>,
    teams: &[TeamView],
    courses: Option<&Courses>,
) -> (String, Vec<Html>) {
    let hint = token.hint.as_ref().map(|hint| format!("{}…{}", hint.start, hint.end)).unwrap_or_default();
    let scopes = token.scopes.iter().take(SCOPES_SHOWN).map(|scope| {
        let name = routes.map_or_else(|| scope.clone(), |routes| name_of(scope, routes));
        let stale = routes.is_some_and(|routes| is_stale(scope, routes));
        html! { <ScopeLabel scope={name} is_stale={stale} /> }
    });
    let more = token.scopes.len().saturating_sub(SCOPES_SHOWN);
    let cells = vec![
        html! {
            <>
                <span class="tm-clip" title={token.name.clone()}>
                    <Link<Route> to={Route::Token { id: token.id.to_string() }}>{ &token.name }</Link<Route>>
                </span>
                <div class="tm-subtle tm-mono tm-hint">{ hint }</div>
            </>
        },
        html! { <span title={token.team_id.to_string()}>{ team_name(teams, &token.team_id) }</span> },
        html! {
            <span class="tm-labels">
                { for scopes }
                if more > 0 {
                    <span class="tm-subtle">{ i18n.fill("scope.more", &[("count", &more.to_string())]) }</span>
                }
            </span>
        },
        html! { <StandingLabel standing={Standing::of(token, clock::now())} /> },
        course_cell(i18n, courses, token.id.as_str()),
        html! { <Time at={token.created_at} is_relative=true /> },
        match token.expires_at {
            Some(at) => html! { <Time {at} is_end=true /> },
            None => html! { i18n.t("token.never-expires") },
        },
        match token.last_used_at {
            Some(at) => html! { <Time {at} is_relative=true /> },
            None => html! { <span class="tm-subtle">{ i18n.t("token.never-used") }</span> },
        },
    ];
    (token.id.to_string(), cells)
}
