use super::role_table::{RoleTable, Roles, changes};
use crate::api::{Api, CallError, use_api};
use crate::components::{CallErrorView, Dialog};
use crate::hooks::use_action;
use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use contract::people::{PersonView, RemoveMembership, SetTeamRole, SetTeamRoleRequest};
use contract::teams::TeamView;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct EditRolesProps {
    pub person: Rc<PersonView>,
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Sets and takes roles; how many live tokens the person may not change any more by that.
async fn save(api: Api, person: Rc<PersonView>, wanted: Roles) -> Result<u32, CallError> {
    let mut live_tokens = 0_u32;
    let (sets, leaves) = changes(&roles_of(&person), &wanted);
    for (role, team_ids) in sets {
        let request = SetTeamRoleRequest { team_id: None, team_ids, role };
        let changed = api.send::<SetTeamRole>(&[person.id.as_str()], &request).await?;
        live_tokens = live_tokens.saturating_add(changed.live_tokens);
    }
    for team in leaves {
        let changed = api.call::<RemoveMembership>(&[person.id.as_str(), team.as_str()]).await?;
        live_tokens = live_tokens.saturating_add(changed.live_tokens);
    }
    Ok(live_tokens)
}

fn roles_of(person: &PersonView) -> Roles {
    person.memberships.iter().map(|m| (m.team_id.clone(), m.role)).collect()
}

/// A person's teams and roles.
#[component]
pub fn EditRoles(props: &EditRolesProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let present = roles_of(&props.person);
    let roles = use_state_eq(|| present.clone());
    let on_done = {
        let (i18n, on_changed, on_close) = (i18n.clone(), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |live_tokens: u32| {
            toast.emit(match live_tokens {
                0 => (Tone::Success, i18n.t("roles.saved")),
                n => (Tone::Warning, i18n.fill("roles.saved-tokens", &[("count", &n.to_string())])),
            });
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let person = Rc::clone(&props.person);
    let action = use_action(move |wanted: Roles| save(api.clone(), Rc::clone(&person), wanted), on_done);
    let on_submit = {
        let (on_run, roles) = (action.on_run.clone(), roles.clone());
        Callback::from(move |()| on_run.emit((*roles).clone()))
    };
    let on_change = {
        let roles = roles.setter();
        Callback::from(move |next| roles.set(next))
    };
    let name = props.person.name.clone().or_else(|| props.person.email.clone());
    let name = name.unwrap_or_else(|| props.person.id.to_string());
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Primary} label={i18n.t("app.save").to_string()} loading={action.is_busy} disabled={action.is_busy || *roles == present} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.fill("roles.title", &[("name", &name)])} {footer} on_close={props.on_close.clone()} {on_submit}>
            <RoleTable teams={Rc::clone(&props.teams)} {present} roles={(*roles).clone()} {on_change} />
            if let Some(error) = action.error {
                <CallErrorView {error} />
            }
        </Dialog>
    }
}
