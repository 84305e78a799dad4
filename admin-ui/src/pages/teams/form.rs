//! The form for a team, new or not.

use super::{DEFAULT_COLOR, ICONS, badge, icon_name};
use crate::api::{Api, CallError, use_api};
use crate::components::{
    CheckField, DraftField, Form, FormDialog, LimitsDraft, LimitsFields, ScopePicker, SelectField,
    TextAreaField, TextField, Trial, TrialView, changed, filled, use_conflict, use_form,
};
use crate::hooks::use_routes;
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::Propagation;
use contract::teams::{CreateTeam, CreateTeamRequest, GetTeam, TeamView, UpdateTeam, UpdateTeamRequest};
use domain::people::role::{Action, Subject};
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TeamFormProps {
    /// The team to change; without one the form makes a team.
    #[prop_or_default]
    pub team: Option<Rc<TeamView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// The form as it is typed in.
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
    budget: LimitsDraft,
    zone: String,
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
            budget: team.map(|team| LimitsDraft::of(&team.budget)).unwrap_or_default(),
            zone: text(|team| team.zone.as_ref().map(|zone| zone.name.clone())),
        }
    }

    fn create(&self) -> CreateTeamRequest {
        CreateTeamRequest {
            id: self.id.trim().into(),
            name: self.name.clone(),
            description: filled(&self.description),
            color: Some(self.color.clone()),
            icon: Some(self.icon.clone()),
            scope_cap: self.is_bound.then(|| self.cap.clone()),
            limits: Some(self.limits.limits()).filter(|limits| !limits.is_empty()),
            budget: Some(self.budget.limits()).filter(|budget| !budget.is_empty()),
            zone: filled(&self.zone),
        }
    }

    /// Names only the fields that differ: those that bound its tokens need another role than the rest.
    fn update(&self, team: &TeamView) -> UpdateTeamRequest {
        let (old, new) = (Self::of(Some(team)).create(), self.create());
        UpdateTeamRequest {
            name: changed(&old.name, new.name),
            description: changed(&old.description, new.description),
            color: changed(&old.color, new.color),
            icon: changed(&old.icon, new.icon),
            scope_cap: changed(&old.scope_cap, new.scope_cap),
            limits: changed(&old.limits, new.limits),
            budget: changed(&old.budget, new.budget),
            zone: changed(&old.zone, new.zone),
        }
    }
}

/// The fields of a team that exists.
const FIELDS: &[DraftField<Draft>] = &[
    DraftField {
        label: |i18n| i18n.t("team.name"),
        text: |_, draft| draft.name.clone(),
        take: |draft, from| draft.name.clone_from(&from.name),
    },
    DraftField {
        label: |i18n| i18n.t("team.description"),
        text: |_, draft| draft.description.clone(),
        take: |draft, from| draft.description.clone_from(&from.description),
    },
    DraftField {
        label: |i18n| i18n.t("team.color"),
        text: |_, draft| draft.color.clone(),
        take: |draft, from| draft.color.clone_from(&from.color),
    },
    DraftField {
        label: |i18n| i18n.t("team.icon"),
        text: |i18n, draft| icon_name(i18n, &draft.icon).to_string(),
        take: |draft, from| draft.icon.clone_from(&from.icon),
    },
    DraftField {
        label: |i18n| i18n.t("team.cap"),
        text: |i18n, draft| {
            if draft.is_bound { draft.cap.join(", ") } else { i18n.t("team.unbound").to_string() }
        },
        take: |draft, from| {
            draft.is_bound = from.is_bound;
            draft.cap.clone_from(&from.cap);
        },
    },
    DraftField {
        label: |i18n| i18n.t("limit.defaults"),
        text: |i18n, draft| draft.limits.text(i18n),
        take: |draft, from| draft.limits.clone_from(&from.limits),
    },
    DraftField {
        label: |i18n| i18n.t("limit.budget"),
        text: |i18n, draft| draft.budget.text(i18n),
        take: |draft, from| draft.budget.clone_from(&from.budget),
    },
    DraftField {
        label: |i18n| i18n.t("team.zone"),
        text: |_, draft| draft.zone.clone(),
        take: |draft, from| draft.zone.clone_from(&from.zone),
    },
];

/// A request to save a team.
enum Save {
    Create(CreateTeamRequest),
    Update(Rc<TeamView>, UpdateTeamRequest),
}

impl Save {
    async fn send(self, api: Api) -> Result<Propagation, CallError> {
        match self {
            Self::Create(request) => {
                api.request::<CreateTeam>().body(&request).send().await?;
                Ok(Propagation::Published)
            }
            Self::Update(team, request) => {
                let call = api.request::<UpdateTeam>().path(&[team.id.as_str()]);
                let changed = call.body(&request).if_match(team.version).send().await?;
                Ok(changed.propagation)
            }
        }
    }
}

/// Makes or changes a team.
#[component]
pub fn TeamForm(props: &TeamFormProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast) = (use_api(), use_me(), use_toast());
    let routes = use_routes();
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
    let opened = use_state(|| props.team.clone());
    let mut form = {
        let (api, team) = (api.clone(), (*opened).clone());
        use_form(
            || Draft::of(props.team.as_deref()),
            move |draft: &Draft| match &team {
                None => draft.create().validate().map(|_| Save::Create(draft.create())),
                Some(team) => {
                    let request = draft.update(team);
                    request.clone().validate().map(|_| Save::Update(Rc::clone(team), request))
                }
            },
            move |save: Save| save.send(api.clone()),
            on_done,
        )
    };
    let reread = {
        let id = props.team.as_ref().map(|team| team.id.to_string()).unwrap_or_default();
        move || {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<GetTeam>().path(&[&id]).send().await.map(|team| Some(Rc::new(team))) }
        }
    };
    use_conflict(&mut form, &opened, |team| Draft::of(team.as_deref()), FIELDS, reread, &props.on_changed);
    let draft = form.draft();
    let is_new = props.team.is_none();
    let subject = Subject { team: props.team.as_ref().map(|team| &team.id), created_by: None };
    html! {
        <FormDialog
            title={if is_new { i18n.t("teams.create") } else { i18n.t("teams.edit") }}
            label={if is_new { i18n.t("teams.create") } else { i18n.t("app.save") }}
            submission={form.submission.clone()}
            on_close={props.on_close.clone()}
            is_wide=true
        >
            <div class="tm-person">
                { badge(Some(&draft.icon), Some(&draft.color)) }
                <strong>{ if draft.name.is_empty() { i18n.t("team.title") } else { draft.name.clone().into() } }</strong>
            </div>
            { looks(&i18n, &form, is_new) }
            if can(&me, Action::SetScopeCap, subject) {
                <CheckField
                    label={i18n.t("team.bound")}
                    is_checked={draft.is_bound}
                    on_change={form.set(|draft, is_bound| draft.is_bound = is_bound)}
                    help={i18n.t("team.bound-help")}
                />
                if draft.is_bound {
                    <ScopePicker
                        label={i18n.t("team.cap")}
                        routes={routes.state.ready().cloned().unwrap_or_default()}
                        scopes={draft.cap.clone()}
                        on_change={form.set(|draft, cap| draft.cap = cap)}
                        error={form.error_within("scope_cap")}
                    />
                }
                <LimitsFields draft={draft.limits.clone()} on_change={form.set(|draft, limits| draft.limits = limits)} help={i18n.t("limit.team-help")} errors={form.errors.clone()} />
                <LimitsFields draft={draft.budget.clone()} on_change={form.set(|draft, budget| draft.budget = budget)} help={i18n.t("limit.budget-help")} errors={form.errors.clone()} is_budget=true />
                <TextField label={i18n.t("team.zone")} value={draft.zone.clone()} on_change={form.set(|draft, zone| draft.zone = zone)} error={form.error("zone")} placeholder="UTC" help={i18n.t("team.zone-help")} />
                <TrialView trial={opened.as_ref().and_then(|team| Trial::of_team(team, draft.update(team)))} />
            }
        </FormDialog>
    }
}

/// Name and id, description, colour and icon.
fn looks(i18n: &I18n, form: &Form<Draft>, is_new: bool) -> Html {
    let draft = form.draft();
    html! {
        <>
            <div class="tm-form-row">
                <TextField label={i18n.t("team.name")} value={draft.name.clone()} on_change={form.set(|d, text| d.name = text)} error={form.error("name")} is_required=true is_first=true />
                <TextField label={i18n.t("team.id")} value={draft.id.clone()} on_change={form.set(|d, text| d.id = text)} error={form.error("id")} help={i18n.t("team.id-help")} is_required=true is_disabled={!is_new} />
            </div>
            <TextAreaField label={i18n.t("team.description")} value={draft.description.clone()} on_change={form.set(|d, text| d.description = text)} error={form.error("description")} />
            <div class="tm-form-row">
                <TextField label={i18n.t("team.color")} kind="color" value={draft.color.clone()} on_change={form.set(|d, text| d.color = text)} error={form.error("color")} />
                <SelectField
                    label={i18n.t("team.icon")}
                    options={ICONS.map(|icon| (AttrValue::Static(icon), icon_name(i18n, icon))).to_vec()}
                    value={draft.icon.clone()}
                    on_change={form.set(|d, text| d.icon = text)}
                    error={form.error("icon")}
                />
            </div>
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_names_only_the_fields_that_differ() {
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
