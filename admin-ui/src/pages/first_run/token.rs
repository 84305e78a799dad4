//! The second step: a token for the route; then the third, with that token.

use super::call::CallStep;
use crate::api::use_api;
use crate::clock;
use crate::components::{Button, CallErrorView, CheckField, SelectField, TextField, error_of, use_form};
use crate::hooks::use_teams;
use crate::i18n::use_i18n;
use crate::pages::routes::vendor_of_route;
use crate::pages::tokens::{DEFAULT_DAYS, ExpiryField, use_made};
use crate::state::session::{can, use_me};
use contract::routes::RouteView;
use contract::teams::TeamView;
use contract::tokens::{CreateToken, CreateTokenRequest};
use domain::limit::Limits;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::{ButtonType, ButtonVariant};
use std::rc::Rc;
use yew::prelude::*;

/// The budget that the switch sets.
const MICROS_PER_DAY: u64 = 5_000_000;

#[derive(Clone, Debug, PartialEq)]
struct Draft {
    name: String,
    team: String,
    is_scoped: bool,
    days: String,
    is_limited: bool,
}

impl Draft {
    fn request(&self, route: &RouteView, teams: &[TeamView]) -> CreateTokenRequest {
        let first = teams.first().map(|team| team.id.clone());
        let team = Some(self.team.as_str()).filter(|team| !team.is_empty()).map(Into::into).or(first);
        let limits = Limits { cost_micros_per_day: Some(MICROS_PER_DAY), ..Limits::default() };
        CreateTokenRequest {
            name: self.name.clone(),
            team_id: team.unwrap_or_else(|| "".into()),
            description: None,
            scopes: if self.is_scoped { vec![scope_of(route)] } else { vec![] },
            // Unparsable input becomes an out-of-range value, so validation reports it.
            expires_days: (!self.days.is_empty()).then(|| self.days.parse().unwrap_or(-1)),
            expires_at: None,
            ip_allow: vec![],
            limits: self.is_limited.then_some(limits),
            inject_faults: false,
            may_derive: false,
        }
    }
}

/// The scope of one route: its service, or else its path.
fn scope_of(route: &RouteView) -> String {
    let path = route.path.as_str();
    match route.path.service() {
        Some(service) if path == format!("/api/{service}") => service.to_owned(),
        _ => format!("{path}/*"),
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TokenStepProps {
    pub route: Rc<RouteView>,
    pub on_done: Callback<()>,
}

/// The form for the first token, and the call once it is made.
#[component]
pub fn TokenStep(props: &TokenStepProps) -> Html {
    let i18n = use_i18n();
    let (api, me) = (use_api(), use_me());
    let teams = use_teams().state.ready().cloned().unwrap_or_default();
    let may_create = |team: &&TeamView| can(&me, Action::CreateToken, Subject::team(&team.id));
    let teams: Rc<Vec<TeamView>> = Rc::new(teams.iter().filter(may_create).cloned().collect());
    let made = use_made(&Callback::noop(), &Callback::noop());
    // A budget is of use for calls whose costs are known.
    let has_price = vendor_of_route(&props.route).is_some_and(|(vendor, _)| vendor.has_price());
    let form = {
        let (route, teams, key) = (Rc::clone(&props.route), Rc::clone(&teams), made.key);
        use_form(
            || Draft {
                name: props.route.name.clone(),
                team: String::new(),
                is_scoped: true,
                days: DEFAULT_DAYS.to_owned(),
                is_limited: has_price,
            },
            move |draft: &Draft| {
                let request = draft.request(&route, &teams);
                request.clone().validate(clock::now()).map(|_| request)
            },
            move |request: CreateTokenRequest| {
                let (api, key) = (api.clone(), Rc::clone(&key));
                async move { api.request::<CreateToken>().body(&request).idempotency_key(&key).send().await }
            },
            made.on_done,
        )
    };
    let draft = form.draft();
    let onsubmit = form.submission.on_submit.reform(|event: SubmitEvent| event.prevent_default());
    let is_made = made.created.is_some();
    html! {
        <>
            <li>
                <h3 class="tm-heading">{ i18n.t("first.token") }</h3>
                if let Some(created) = &made.created {
                    <p><i class="fas fa-check-circle" aria-hidden="true" />{ " " }{ &created.view.name }</p>
                } else {
                    <form class="tm-form" {onsubmit} novalidate=true>
                        <div class="tm-form-row">
                            <TextField label={i18n.t("token.name")} value={draft.name.clone()} on_change={form.set(|d, text| d.name = text)} error={form.error("name")} is_required=true />
                            <SelectField
                                label={i18n.t("token.team")}
                                options={teams.iter().map(|team| (team.id.to_string().into(), team.name.clone().into())).collect::<Vec<_>>()}
                                value={draft.team.clone()}
                                on_change={form.set(|d, text| d.team = text)}
                                error={form.error("team_id")}
                            />
                            <ExpiryField days={draft.days.clone()} on_change={form.set(|d, text| d.days = text)} error={form.error("expires_days")} />
                        </div>
                        <CheckField label={i18n.fill("first.scope", &[("path", props.route.path.as_str())])} is_checked={draft.is_scoped} on_change={form.set(|d, is_on| d.is_scoped = is_on)} />
                        if let Some(error) = form.error_within("scopes") {
                            <p class="tm-danger" role="alert">{ i18n.problem(&error) }</p>
                        }
                        if has_price {
                            <CheckField label={i18n.t("first.limit")} is_checked={draft.is_limited} on_change={form.set(|d, is_on| d.is_limited = is_on)} />
                        }
                        if let Some(error) = error_of(&form.errors, "limits.cost_micros_per_day") {
                            <p class="tm-danger" role="alert">{ i18n.problem(&error) }</p>
                        }
                        if let Some(error) = form.submission.failure.clone() {
                            <CallErrorView {error} />
                        }
                        <Button r#type={ButtonType::Submit} variant={ButtonVariant::Primary} label={i18n.t("tokens.create").to_string()} loading={form.submission.is_busy} class="tm-start" />
                    </form>
                }
            </li>
            <li class={(!is_made).then_some("tm-subtle")}>
                <h3 class="tm-heading">{ i18n.t("first.call") }</h3>
                if let Some(created) = made.created {
                    <CallStep route={Rc::clone(&props.route)} {created} on_done={props.on_done.clone()} />
                }
            </li>
        </>
    }
}
