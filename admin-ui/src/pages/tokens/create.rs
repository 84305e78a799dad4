//! The form for a new token.

use super::draft::{Draft, more_fields};
use super::reveal::{Reveal, use_made};
use crate::api::use_api;
use crate::clock;
use crate::components::{FormDialog, ScopePicker, SelectField, TextField, use_form};
use crate::i18n::use_i18n;
use crate::state::session::{can, use_me};
use contract::routes::RouteView;
use contract::teams::TeamView;
use contract::tokens::{CreateToken as Endpoint, CreateTokenRequest};
use domain::people::role::{Action, Subject};
use domain::problem::Problem;
use std::rc::Rc;
use yew::prelude::*;

/// Offered first, as in the earlier system.
pub const DEFAULT_DAYS: &str = "90";
const DAYS: [&str; 5] = ["7", "30", DEFAULT_DAYS, "180", "365"];

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CreateTokenProps {
    pub routes: Rc<Vec<RouteView>>,
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_created: Callback<()>,
}

/// The form, then the token, once.
#[component]
pub fn CreateToken(props: &CreateTokenProps) -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let may_create = |team: &&TeamView| can(&me, Action::CreateToken, Subject::team(&team.id));
    let teams: Vec<TeamView> = props.teams.iter().filter(may_create).cloned().collect();
    let made = use_made(&props.on_created, &props.on_close);
    let form = {
        let (teams, key) = (teams.clone(), made.key);
        use_form(
            || Draft { days: DEFAULT_DAYS.to_owned(), ..Draft::default() },
            move |draft: &Draft| {
                let request = draft.for_teams(&teams).create();
                request.clone().validate(clock::now()).map(|_| request)
            },
            move |request: CreateTokenRequest| {
                let (api, key) = (api.clone(), Rc::clone(&key));
                async move { api.request::<Endpoint>().body(&request).idempotency_key(&key).send().await }
            },
            made.on_done,
        )
    };
    if let Some(created) = made.created {
        return html! { <Reveal {created} routes={Rc::clone(&props.routes)} on_close={props.on_close.clone()} /> };
    }
    // Derived at each render: the teams may arrive after the form has opened.
    let draft = form.draft().for_teams(&teams);
    let team = teams.iter().find(|team| team.id.as_str() == draft.team);
    let (title, is_disabled) = (i18n.t("tokens.create"), draft.team.is_empty());
    html! {
        <FormDialog label={title.clone()} {title} submission={form.submission.clone()} on_close={props.on_close.clone()} {is_disabled} is_wide=true>
            <TextField
                label={i18n.t("token.name")}
                value={draft.name}
                on_change={form.set(|draft, text| draft.name = text)}
                error={form.error("name")}
                help={i18n.t("token.name-help")}
                is_required=true
                is_first=true
            />
            <SelectField
                label={i18n.t("token.team")}
                options={teams.iter().map(|team| (team.id.to_string().into(), team.name.clone().into())).collect::<Vec<_>>()}
                value={draft.team}
                on_change={form.set(|draft, text| draft.team = text)}
                error={form.error("team_id")}
            />
            <ScopePicker
                label={i18n.t("token.scopes")}
                routes={Rc::clone(&props.routes)}
                scopes={draft.scopes}
                on_change={form.set(|draft, scopes| draft.scopes = scopes)}
                cap={team.and_then(|team| team.scope_cap.clone())}
                error={form.error_within("scopes")}
            />
            <ExpiryField days={draft.days} on_change={form.set(|draft, text| draft.days = text)} error={form.error("expires_days")} />
            { more_fields(&i18n, &form, team.map(|team| team.limits.clone()).unwrap_or_default()) }
        </FormDialog>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ExpiryFieldProps {
    pub days: String,
    pub on_change: Callback<String>,
    #[prop_or_default]
    pub error: Option<Problem>,
}

/// A number of days, or never.
#[component]
pub fn ExpiryField(props: &ExpiryFieldProps) -> Html {
    let i18n = use_i18n();
    let mut options: Vec<(AttrValue, AttrValue)> = DAYS
        .iter()
        .map(|days| (AttrValue::Static(days), i18n.fill("token.days", &[("days", days)])))
        .collect();
    options.push((AttrValue::Static(""), i18n.t("token.never-expires")));
    html! {
        <SelectField
            label={i18n.t("token.expires")}
            {options}
            value={props.days.clone()}
            on_change={props.on_change.clone()}
            help={props.days.is_empty().then(|| i18n.t("token.never-advice"))}
            error={props.error.clone()}
        />
    }
}
