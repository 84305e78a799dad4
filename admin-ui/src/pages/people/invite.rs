//! The form for an invitation.

use super::role_table::{RoleTable, Roles};
use crate::api::use_api;
use crate::components::{Button, CopyButton, Dialog, FormDialog, TextField, use_form};
use crate::i18n::use_i18n;
use crate::state::toasts::{Tone, use_toast};
use contract::invitations::{
    CreateInvitation, CreateInvitationRequest, Delivery, InvitationState, InvitationView, InvitedTeam,
};
use contract::teams::TeamView;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct InviteProps {
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_invited: Callback<()>,
}

/// The form as it is typed in.
#[derive(Clone, Debug, Default, PartialEq)]
struct Draft {
    email: String,
    roles: Roles,
}

impl Draft {
    fn request(&self) -> CreateInvitationRequest {
        let teams = self.roles.iter().map(|(team, role)| InvitedTeam { team_id: team.clone(), role: *role });
        CreateInvitationRequest { email: self.email.clone(), teams: teams.collect() }
    }
}

/// Invites a person; then shows the link, unless Clerk delivers it.
#[component]
pub fn Invite(props: &InviteProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let made = use_state_eq(|| None::<InvitationView>);
    let on_done = {
        let (i18n, made) = (i18n.clone(), made.setter());
        let (on_invited, on_close) = (props.on_invited.clone(), props.on_close.clone());
        Callback::from(move |invitation: InvitationView| {
            on_invited.emit(());
            if invitation.delivery == Delivery::Link && invitation.link.is_some() {
                made.set(Some(invitation));
                return;
            }
            let text = if invitation.state == InvitationState::Accepted {
                i18n.t("invitation.is-member")
            } else {
                i18n.t("invitation.was-sent")
            };
            toast.emit((Tone::Success, text));
            on_close.emit(());
        })
    };
    let form = use_form(
        Draft::default,
        |draft: &Draft| draft.request().validate().map(|_| draft.request()),
        move |request: CreateInvitationRequest| {
            let api = api.clone();
            async move { api.request::<CreateInvitation>().body(&request).send().await }
        },
        on_done,
    );
    if let Some(link) = made.as_ref().and_then(|invitation| invitation.link.clone()) {
        return html! { <Link {link} on_close={props.on_close.clone()} /> };
    }
    let (draft, title) = (form.draft(), i18n.t("users.invite"));
    html! {
        <FormDialog label={title.clone()} {title} submission={form.submission.clone()} on_close={props.on_close.clone()}>
            <TextField label={i18n.t("invitation.address")} kind="email" value={draft.email.clone()} on_change={form.set(|d, text| d.email = text)} error={form.error("email")} is_required=true is_first=true />
            <RoleTable teams={Rc::clone(&props.teams)} roles={draft.roles.clone()} on_change={form.set(|d, roles| d.roles = roles)} />
            if let Some(error) = form.error_within("teams") {
                <p class="tm-danger" tabindex="-1" data-invalid="true" role="alert">{ i18n.problem(&error) }</p>
            }
        </FormDialog>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct LinkProps {
    link: String,
    on_close: Callback<()>,
}

/// The link of an invitation, to pass on by hand.
#[component]
fn Link(props: &LinkProps) -> Html {
    let i18n = use_i18n();
    let footer = html! {
        <Button variant={ButtonVariant::Primary} label={i18n.t("app.close").to_string()} onclick={props.on_close.reform(|_| ())} />
    };
    html! {
        <Dialog title={i18n.t("invitation.by-link")} {footer} on_close={props.on_close.clone()}>
            <p>{ i18n.t("invitation.link-advice") }</p>
            <div class="tm-secret">
                <code>{ &props.link }</code>
                <CopyButton text={props.link.clone()} label={i18n.t("invitation.copy-link")} caption={i18n.t("copy.copy")} />
            </div>
        </Dialog>
    }
}
