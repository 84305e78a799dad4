//! The form for a person's roles.

use super::role_table::{RoleTable, Roles, changes};
use crate::api::{Api, CallError, use_api};
use crate::components::{FormDialog, use_form};
use crate::format;
use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use contract::people::{PersonView, RemoveMembership, SetTeamRole, SetTeamRoleRequest};
use contract::teams::TeamView;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct EditRolesProps {
    pub person: Rc<PersonView>,
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Sets and removes roles. Returns how many live tokens the person may no longer change.
async fn save(api: Api, person: Rc<PersonView>, wanted: Roles) -> Result<u32, CallError> {
    let mut live_tokens = 0_u32;
    let (sets, leaves) = changes(&roles_of(&person), &wanted);
    for (role, team_ids) in sets {
        let request = SetTeamRoleRequest { team_id: None, team_ids, role };
        let changed = api.request::<SetTeamRole>().path(&[person.id.as_str()]).body(&request).send().await?;
        live_tokens = live_tokens.saturating_add(changed.live_tokens);
    }
    for team in leaves {
        let changed =
            api.request::<RemoveMembership>().path(&[person.id.as_str(), team.as_str()]).send().await?;
        live_tokens = live_tokens.saturating_add(changed.live_tokens);
    }
    Ok(live_tokens)
}

fn roles_of(person: &PersonView) -> Roles {
    person.memberships.iter().map(|m| (m.team_id.clone(), m.role)).collect()
}

/// Changes the roles of a person in their teams.
#[component]
pub fn EditRoles(props: &EditRolesProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let present = roles_of(&props.person);
    let on_done = {
        let (i18n, on_changed, on_close) = (i18n.clone(), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |live_tokens: u32| {
            toast.emit(match live_tokens {
                0 => (Tone::Success, i18n.t("roles.saved")),
                n => (
                    Tone::Warning,
                    format::count(&i18n, "roles.saved-tokens-one", "roles.saved-tokens", n.into()),
                ),
            });
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let person = Rc::clone(&props.person);
    let form = use_form(
        || present.clone(),
        |roles: &Roles| Ok(roles.clone()),
        move |wanted: Roles| save(api.clone(), Rc::clone(&person), wanted),
        on_done,
    );
    let name = props.person.name.clone().or_else(|| props.person.email.clone());
    let name = name.unwrap_or_else(|| props.person.id.to_string());
    html! {
        <FormDialog
            title={i18n.fill("roles.title", &[("name", &name)])}
            label={i18n.t("app.save")}
            submission={form.submission.clone()}
            on_close={props.on_close.clone()}
            is_disabled={*form.draft() == present}
        >
            <RoleTable teams={Rc::clone(&props.teams)} {present} roles={form.draft().clone()} on_change={form.set(|roles, next| *roles = next)} />
        </FormDialog>
    }
}
