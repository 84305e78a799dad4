use super::{DEFAULT_COLOR, ICONS, badge};
use crate::api::{Api, CallError, if_match, use_api};
use crate::components::{
    CallErrorView, CheckField, Dialog, LimitsDraft, LimitsFields, ScopePicker, SelectField, TextAreaField,
    TextField, error_of, error_within,
};
use crate::hooks::{use_action, use_routes};
use crate::i18n::use_i18n;
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::Propagation;
use contract::teams::{CreateTeam, CreateTeamRequest, TeamView, UpdateTeam, UpdateTeamRequest};
use domain::error::FieldError;
use domain::limit::Limits;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TeamFormProps {
    /// Changed where there is one, else one is made.
    #[prop_or_default]
    pub team: Option<Rc<TeamView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

#[derive(Clone, Debug, PartialEq)]
struct Draft {
    id: String,
    name: String,
    description: String,
    color: String,
    icon: String,
    is_bound: bool,
    cap: Vec<String>,
    limits: LimitsDraft,
}

impl Draft {
    fn of(team: Option<&TeamView>) -> Self {
        let text = |get: fn(&TeamView) -> Option<String>| team.and_then(get).unwrap_or_default();
        Self {
            id: text(|team| Some(team.id.to_string())),
            name: text(|team| Some(team.name.clone())),
            description: text(|team| team.description.clone()),
            color: team.and_then(|team| team.color.clone()).unwrap_or_else(|| DEFAULT_COLOR.to_owned()),
            icon: team.and_then(|team| team.icon.clone()).unwrap_or_else(|| "users".to_owned()),
            is_bound: team.is_some_and(|team| team.scope_cap.is_some()),
            cap: team.and_then(|team| team.scope_cap.clone()).unwrap_or_default(),
            limits: team.map(|team| LimitsDraft::of(&team.limits)).unwrap_or_default(),
        }
    }

    fn description(&self) -> Option<String> {
        Some(self.description.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn scope_cap(&self) -> Option<Vec<String>> {
        self.is_bound.then(|| self.cap.clone())
    }

    fn limits(&self) -> Option<Limits> {
        Some(self.limits.limits()).filter(|limits| !limits.is_empty())
    }

    fn create(&self) -> CreateTeamRequest {
        CreateTeamRequest {
            id: self.id.trim().into(),
            name: self.name.clone(),
            description: self.description(),
            color: Some(self.color.clone()),
            icon: Some(self.icon.clone()),
            scope_cap: self.scope_cap(),
            limits: self.limits(),
        }
    }

    /// Only what differs: the bound and the limits ask for another role than the rest.
    fn update(&self, team: &TeamView) -> UpdateTeamRequest {
        let before = Self::of(Some(team));
        UpdateTeamRequest {
            name: (self.name != before.name).then(|| self.name.clone()),
            description: (self.description != before.description).then(|| self.description()),
            color: (self.color != before.color).then(|| Some(self.color.clone())),
            icon: (self.icon != before.icon).then(|| Some(self.icon.clone())),
            scope_cap: (self.scope_cap() != before.scope_cap()).then(|| self.scope_cap()),
            limits: (self.limits != before.limits).then(|| self.limits()),
        }
    }
}

async fn save(api: Api, team: Option<Rc<TeamView>>, draft: Draft) -> Result<Propagation, CallError> {
    match team {
        None => api.send::<CreateTeam>(&[], &draft.create()).await.map(|_| Propagation::Published),
        Some(team) => {
            let body = serde_json::to_value(draft.update(&team)).unwrap_or_default();
            let changed =
                api.send_value::<UpdateTeam>(&[team.id.as_str()], &body, &[if_match(team.version)]).await?;
            Ok(changed.propagation)
        }
    }
}

#[component]
pub fn TeamForm(props: &TeamFormProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast) = (use_api(), use_me(), use_toast());
    let routes = use_routes();
    let team = props.team.clone();
    let draft = use_state_eq(|| Draft::of(team.as_deref()));
    let errors = use_state_eq(Vec::<FieldError>::new);
    let on_done = {
        let (i18n, on_changed, on_close) = (i18n.clone(), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |propagation: Propagation| {
            toast.emit(match propagation {
                Propagation::Published => (Tone::Success, i18n.t("teams.saved")),
                Propagation::Pending => (Tone::Warning, i18n.t("saved.pending")),
            });
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let action = {
        let team = team.clone();
        use_action(move |draft: Draft| save(api.clone(), team.clone(), draft), on_done)
    };
    let on_submit = {
        let (draft, errors, team, on_run) =
            (draft.clone(), errors.setter(), team.clone(), action.on_run.clone());
        Callback::from(move |()| {
            let found = match &team {
                None => draft.create().validate().err(),
                Some(team) => draft.update(team).validate().err(),
            };
            let found = found.unwrap_or_default();
            if found.is_empty() {
                on_run.emit((*draft).clone());
            }
            errors.set(found);
        })
    };
    let refused = action.error.as_ref().filter(|e| !e.fields().is_empty()).map_or(&**errors, |e| e.fields());
    let set = |change: fn(&mut Draft, String)| {
        let draft = draft.clone();
        Callback::from(move |text: String| {
            let mut next = (*draft).clone();
            change(&mut next, text);
            draft.set(next);
        })
    };
    let on_bound = {
        let draft = draft.clone();
        Callback::from(move |is_bound| draft.set(Draft { is_bound, ..(*draft).clone() }))
    };
    let on_cap = {
        let draft = draft.clone();
        Callback::from(move |cap| draft.set(Draft { cap, ..(*draft).clone() }))
    };
    let on_limits = {
        let draft = draft.clone();
        Callback::from(move |limits| draft.set(Draft { limits, ..(*draft).clone() }))
    };
    let may_bind =
        can(&me, Action::SetScopeCap, Subject { team: team.as_ref().map(|team| &team.id), created_by: None });
    let label = if team.is_some() { i18n.t("app.save") } else { i18n.t("teams.create") };
    let title = if team.is_some() { i18n.t("teams.edit") } else { i18n.t("teams.create") };
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Primary} label={label.to_string()} loading={action.is_busy} disabled={action.is_busy} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog {title} {footer} on_close={props.on_close.clone()} {on_submit} is_wide=true>
            <div class="tm-form">
                <div class="tm-person">
                    { badge(Some(&draft.icon), Some(&draft.color)) }
                    <strong>{ if draft.name.is_empty() { i18n.t("team.title") } else { draft.name.clone().into() } }</strong>
                </div>
                <div class="tm-form-row">
                    <TextField label={i18n.t("team.name")} value={draft.name.clone()} on_change={set(|d, text| d.name = text)} error={error_of(refused, "name")} is_required=true is_first=true />
                    <TextField label={i18n.t("team.id")} value={draft.id.clone()} on_change={set(|d, text| d.id = text)} error={error_of(refused, "id")} help={i18n.t("team.id-help")} is_required=true is_disabled={team.is_some()} />
                </div>
                <TextAreaField label={i18n.t("team.description")} value={draft.description.clone()} on_change={set(|d, text| d.description = text)} error={error_of(refused, "description")} />
                <div class="tm-form-row">
                    <TextField label={i18n.t("team.color")} kind="color" value={draft.color.clone()} on_change={set(|d, text| d.color = text)} error={error_of(refused, "color")} />
                    <SelectField
                        label={i18n.t("team.icon")}
                        options={ICONS.map(|icon| (AttrValue::Static(icon), AttrValue::Static(icon))).to_vec()}
                        value={draft.icon.clone()}
                        on_change={set(|d, text| d.icon = text)}
                        error={error_of(refused, "icon")}
                    />
                </div>
                if may_bind {
                    <CheckField label={i18n.t("team.bound")} is_checked={draft.is_bound} on_change={on_bound} help={i18n.t("team.bound-help")} />
                    if draft.is_bound {
                        <ScopePicker
                            label={i18n.t("team.cap")}
                            routes={routes.state.ready().cloned().unwrap_or_default()}
                            scopes={draft.cap.clone()}
                            on_change={on_cap}
                            error={error_within(refused, "scope_cap")}
                        />
                    }
                    <LimitsFields draft={draft.limits.clone()} on_change={on_limits} help={i18n.t("limit.team-help")} errors={refused.to_vec()} />
                }
                if let Some(error) = action.error.filter(|error| error.fields().is_empty()) {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_touched_is_not_sent() {
        let team: TeamView = serde_json::from_value(serde_json::json!({
            "id":"ops","name":"Ops","description":null,"color":null,"icon":null,"scope_cap":null,"limits":{},"members":1,
            "tokens":0,"your_role":null,"created_at":0,"updated_at":0,"version":1}))
        .unwrap();
        let draft = Draft::of(Some(&team));
        assert_eq!(serde_json::to_value(draft.update(&team)).unwrap(), serde_json::json!({}));
        let bound = Draft { is_bound: true, ..draft };
        assert_eq!(serde_json::to_value(bound.update(&team)).unwrap(), serde_json::json!({"scope_cap":[]}));
    }
}
