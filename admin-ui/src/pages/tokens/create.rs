use super::reveal::Reveal;
use super::saved;
use crate::api::use_api;
use crate::components::{
    CallErrorView, CheckField, Dialog, LimitsDraft, LimitsFields, ScopePicker, SelectField, TextAreaField,
    TextField, error_of, error_within,
};
use crate::format;
use crate::hooks::use_action;
use crate::i18n::use_i18n;
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::routes::RouteView;
use contract::teams::TeamView;
use contract::tokens::{CreateToken as Endpoint, CreateTokenRequest, TokenCreated};
use domain::error::FieldError;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

/// Offered first, as in the earlier system.
const DEFAULT_DAYS: &str = "90";
const DAYS: [&str; 5] = ["7", "30", DEFAULT_DAYS, "180", "365"];

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CreateTokenProps {
    pub routes: Rc<Vec<RouteView>>,
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_created: Callback<()>,
}

/// The form as it is typed in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Draft {
    pub name: String,
    /// Empty until one is chosen.
    pub team: String,
    pub description: String,
    pub scopes: Vec<String>,
    /// Empty means never.
    pub days: String,
    /// One address or network a line.
    pub ip_allow: String,
    pub limits: LimitsDraft,
    pub injects_faults: bool,
}

impl Draft {
    /// The same draft for the first team until one is chosen, as the list shows it.
    fn for_teams(&self, teams: &[TeamView]) -> Self {
        let first = || teams.first().map(|team| team.id.to_string()).unwrap_or_default();
        let team = if self.team.is_empty() { first() } else { self.team.clone() };
        Self { team, ..self.clone() }
    }

    fn request(&self) -> CreateTokenRequest {
        CreateTokenRequest {
            name: self.name.clone(),
            team_id: self.team.as_str().into(),
            description: Some(self.description.trim().to_owned()).filter(|text| !text.is_empty()),
            scopes: self.scopes.clone(),
            // Unparsable input becomes an out-of-range value, so validation reports it.
            expires_days: (!self.days.is_empty()).then(|| self.days.parse().unwrap_or(-1)),
            ip_allow: lines(&self.ip_allow),
            limits: Some(self.limits.limits()).filter(|limits| !limits.is_empty()),
            inject_faults: self.injects_faults,
        }
    }
}

/// The lines that hold something.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
}

/// The form, then the token, once.
#[component]
pub fn CreateToken(props: &CreateTokenProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast) = (use_api(), use_me(), use_toast());
    let teams: Vec<_> = props
        .teams
        .iter()
        .filter(|team| can(&me, Action::CreateToken, Subject::team(&team.id)))
        .cloned()
        .collect();
    let typed = use_state_eq(|| Draft { days: DEFAULT_DAYS.to_owned(), ..Draft::default() });
    // Derived at each render: the teams may arrive after the form has opened.
    let draft = typed.for_teams(&teams);
    let errors = use_state_eq(Vec::<FieldError>::new);
    let made = use_state_eq(|| None::<TokenCreated>);
    // One for all tries of this form, so that a second try makes no second token.
    let key = use_memo((), |()| {
        gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default()
    });
    let action = {
        let on_done = {
            let (i18n, made, on_created, on_close) =
                (i18n.clone(), made.setter(), props.on_created.clone(), props.on_close.clone());
            Callback::from(move |created: TokenCreated| {
                on_created.emit(());
                toast.emit(saved(&i18n, created.propagation));
                if created.token.is_some() {
                    made.set(Some(created));
                } else {
                    // A try that seemed to have failed had made it, and its secret is gone.
                    toast.emit((Tone::Warning, i18n.t("tokens.made-before")));
                    on_close.emit(());
                }
            })
        };
        use_action(
            move |request: CreateTokenRequest| {
                let (api, key) = (api.clone(), (*key).clone());
                async move {
                    let body = serde_json::to_value(&request).unwrap_or_default();
                    api.send_value::<Endpoint>(&[], &body, &[("Idempotency-Key", key)]).await
                }
            },
            on_done,
        )
    };
    if let Some(created) = (*made).clone() {
        return html! { <Reveal {created} routes={Rc::clone(&props.routes)} on_close={props.on_close.clone()} /> };
    }
    let on_submit = {
        let (draft, errors, on_run) = (draft.clone(), errors.setter(), action.on_run.clone());
        Callback::from(move |()| match draft.request().validate(format::now()) {
            Ok(_) => {
                errors.set(vec![]);
                on_run.emit(draft.request());
            }
            Err(found) => errors.set(found),
        })
    };
    let refused = action.error.as_ref().map_or(&**errors, |error| error.fields());
    let set = |change: fn(&mut Draft, String)| {
        let typed = typed.clone();
        Callback::from(move |text: String| {
            let mut next = (*typed).clone();
            change(&mut next, text);
            typed.set(next);
        })
    };
    let on_scopes = {
        let typed = typed.clone();
        Callback::from(move |scopes| typed.set(Draft { scopes, ..(*typed).clone() }))
    };
    let on_limits = {
        let typed = typed.clone();
        Callback::from(move |limits| typed.set(Draft { limits, ..(*typed).clone() }))
    };
    let on_faults = {
        let typed = typed.clone();
        Callback::from(move |injects_faults| typed.set(Draft { injects_faults, ..(*typed).clone() }))
    };
    let team = teams.iter().find(|team| team.id.as_str() == draft.team);
    let cap = team.and_then(|team| team.scope_cap.clone());
    let defaults = team.map(|team| team.limits.clone()).unwrap_or_default();
    let footer = html! {
        <>
            <Button
                r#type={ButtonType::Submit}
                variant={ButtonVariant::Primary}
                label={i18n.t("tokens.create").to_string()}
                loading={action.is_busy}
                disabled={action.is_busy || draft.scopes.is_empty() || draft.team.is_empty()}
            />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("tokens.create")} {footer} on_close={props.on_close.clone()} {on_submit} is_wide=true>
            <div class="tm-form">
                <TextField
                    label={i18n.t("token.name")}
                    value={draft.name.clone()}
                    on_change={set(|draft, text| draft.name = text)}
                    error={error_of(refused, "name")}
                    help={i18n.t("token.name-help")}
                    is_required=true
                    is_first=true
                />
                <SelectField
                    label={i18n.t("token.team")}
                    options={teams.iter().map(|team| (team.id.to_string().into(), team.name.clone().into())).collect::<Vec<_>>()}
                    value={draft.team.clone()}
                    on_change={set(|draft, text| draft.team = text)}
                    error={error_of(refused, "team_id")}
                />
                <ScopePicker
                    label={i18n.t("token.scopes")}
                    routes={Rc::clone(&props.routes)}
                    scopes={draft.scopes.clone()}
                    on_change={on_scopes}
                    {cap}
                    error={error_within(refused, "scopes")}
                />
                <ExpiryField days={draft.days.clone()} on_change={set(|draft, text| draft.days = text)} error={error_of(refused, "expires_days")} />
                <TextAreaField
                    label={i18n.t("token.description")}
                    value={draft.description.clone()}
                    on_change={set(|draft, text| draft.description = text)}
                    error={error_of(refused, "description")}
                />
                <TextAreaField
                    label={i18n.t("token.ip-allow")}
                    value={draft.ip_allow.clone()}
                    on_change={set(|draft, text| draft.ip_allow = text)}
                    help={i18n.t("token.ip-allow-help")}
                    error={error_within(refused, "ip_allow")}
                />
                <LimitsFields draft={draft.limits.clone()} on_change={on_limits} {defaults} help={i18n.t("limit.token-help")} errors={refused.to_vec()} />
                <CheckField label={i18n.t("token.faults")} is_checked={draft.injects_faults} on_change={on_faults} help={i18n.t("token.faults-help")} />
                if let Some(error) = action.error.filter(|error| error.fields().is_empty()) {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub(super) struct ExpiryFieldProps {
    pub days: String,
    pub on_change: Callback<String>,
    #[prop_or_default]
    pub error: Option<AttrValue>,
}

/// So many days, or never.
#[component]
pub(super) fn ExpiryField(props: &ExpiryFieldProps) -> Html {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Parity fault 4: an empty selection in the scope picker saved `*`.
    #[test]
    fn nothing_selected_is_refused_and_never_turned_into_all() {
        let draft = Draft { name: "n".into(), team: "ops".into(), ..Draft::default() };
        assert!(draft.request().scopes.is_empty());
        assert_eq!(draft.request().validate(0).unwrap_err()[0].field, "scopes");
    }

    fn team(id: &str) -> TeamView {
        serde_json::from_value(serde_json::json!({
            "id": id, "name": id, "limits": {}, "members": 1, "tokens": 0,
            "created_at": 0, "updated_at": 0, "version": 1,
        }))
        .unwrap()
    }

    /// Teams that came after the form had opened were shown as chosen and sent as none.
    #[test]
    fn the_first_team_counts_until_one_is_chosen_whenever_the_teams_arrive() {
        let teams: Vec<TeamView> = ["ops", "web"].map(team).to_vec();
        let mut draft = Draft::default();
        assert_eq!(draft.for_teams(&[]).team, "");
        assert_eq!(draft.for_teams(&teams).team, "ops");
        draft.team = "web".into();
        assert_eq!(draft.for_teams(&teams).team, "web");
    }

    #[test]
    fn no_days_are_never_and_nonsense_is_refused() {
        let with = |days: &str| Draft {
            name: "n".into(),
            team: "ops".into(),
            scopes: vec!["*".into()],
            days: days.into(),
            ..Draft::default()
        };
        assert_eq!(with("").request().expires_days, None);
        assert_eq!(with("x").request().validate(0).unwrap_err()[0].field, "expires_days");
        assert!(with("90").request().validate(0).is_ok());
    }

    #[test]
    fn networks_are_one_a_line() {
        assert_eq!(lines(" 10.0.0.0/8\n\n1.2.3.4 \n"), ["10.0.0.0/8", "1.2.3.4"]);
    }
}
