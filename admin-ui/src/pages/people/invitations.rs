use super::role_table::{RoleTable, Roles};
use crate::api::use_api;
use crate::components::{
    AsyncView, CallErrorView, Column, CopyButton, DataTable, Dialog, Pager, RoleLabel, Row, TextField, Time,
    error_of, error_within,
};
use crate::hooks::{use_action, use_paged};
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::{Tone, use_toast};
use contract::Page as Items;
use contract::invitations::{
    CreateInvitation, CreateInvitationRequest, Delivery, InvitationQuery, InvitationState, InvitationView,
    InvitedTeam, ListInvitations, ResendInvitation, RevokeInvitation,
};
use contract::teams::TeamView;
use domain::error::FieldError;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct InvitationsProps {
    pub teams: Rc<Vec<TeamView>>,
    pub is_inviting: bool,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Those that wait for an answer, and the form for another one.
#[component]
pub fn Invitations(props: &InvitationsProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let pending = {
        let api = api.clone();
        use_paged((), move |(), cursor| {
            let api = api.clone();
            async move {
                let query = InvitationQuery {
                    state: Some(InvitationState::Pending),
                    cursor,
                    ..InvitationQuery::default()
                };
                api.read::<ListInvitations>(&[], &query).await
            }
        })
    };
    let on_refresh = pending.remote.on_refresh.clone();
    let done = |text: fn(&I18n) -> AttrValue| {
        let (i18n, toast, on_refresh) = (i18n.clone(), toast.clone(), on_refresh.clone());
        Callback::from(move |_: InvitationView| {
            toast.emit((Tone::Success, text(&i18n)));
            on_refresh.emit(());
        })
    };
    let on_resent = done(|i18n| i18n.t("invitation.resent"));
    let on_revoked = done(|i18n| i18n.t("invitation.revoked"));
    let resend = {
        let api = api.clone();
        use_action(
            move |id: String| {
                let api = api.clone();
                async move { api.call::<ResendInvitation>(&[&id]).await }
            },
            on_resent,
        )
    };
    let revoke = use_action(
        move |id: String| {
            let api = api.clone();
            async move { api.call::<RevokeInvitation>(&[&id]).await }
        },
        on_revoked,
    );
    let render = {
        let (i18n, on_resend, on_revoke) = (i18n.clone(), resend.on_run.clone(), revoke.on_run.clone());
        Callback::from(move |page: Rc<Items<InvitationView>>| {
            let columns = [
                i18n.t("invitation.address"),
                i18n.t("users.teams"),
                i18n.t("invitation.delivery"),
                i18n.t("token.expires"),
                i18n.t("app.actions"),
            ]
            .map(Column::new);
            let rows: Vec<Row> =
                page.items.iter().map(|item| row(&i18n, item, &on_resend, &on_revoke)).collect();
            html! { <DataTable label={i18n.t("invitation.pending")} columns={columns.to_vec()} {rows} /> }
        })
    };
    let on_invited = {
        let on_changed = props.on_changed.clone();
        Callback::from(move |()| {
            on_refresh.emit(());
            on_changed.emit(());
        })
    };
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("invitation.pending") }</CardTitle>
            <CardBody>
                if let Some(error) = resend.error.or(revoke.error) {
                    <CallErrorView {error} />
                }
                <AsyncView<Items<InvitationView>>
                    state={pending.remote.state}
                    on_retry={pending.remote.on_refresh}
                    {render}
                    is_empty={Callback::from(|page: Rc<Items<InvitationView>>| page.items.is_empty())}
                    empty={html! { <p class="tm-subtle">{ i18n.t("invitation.none") }</p> }}
                />
                <Pager number={pending.number} on_previous={pending.on_previous} on_next={pending.on_next} />
                if props.is_inviting {
                    <Invite teams={Rc::clone(&props.teams)} on_close={props.on_close.clone()} {on_invited} />
                }
            </CardBody>
        </Card>
    }
}

fn row(
    i18n: &I18n,
    item: &InvitationView,
    on_resend: &Callback<String>,
    on_revoke: &Callback<String>,
) -> Row {
    let teams =
        item.teams.iter().map(|team| html! { <RoleLabel role={team.role} team={team.team_name.clone()} /> });
    let delivery = match item.delivery {
        Delivery::Sent => i18n.t("invitation.sent"),
        Delivery::Due => i18n.t("invitation.due"),
        Delivery::Link => i18n.t("invitation.by-link"),
    };
    let act = |on_act: &Callback<String>| {
        let id = item.id.clone();
        on_act.reform(move |_: MouseEvent| id.clone())
    };
    let cells = vec![
        html! { <span class="tm-address">{ &item.email }</span> },
        html! { <span class="tm-labels">{ for teams }</span> },
        html! {
            <span class="tm-labels">
                { delivery }
                if let Some(link) = &item.link {
                    <CopyButton text={link.clone()} label={i18n.t("invitation.copy-link")} />
                }
            </span>
        },
        html! { <Time at={item.expires_at} is_relative=true /> },
        html! {
            <span class="tm-labels">
                <Button variant={ButtonVariant::InlineLink} label={i18n.t("invitation.resend").to_string()} aria_label={format!("{} {}", i18n.t("invitation.resend"), item.email)} onclick={act(on_resend)} />
                <Button variant={ButtonVariant::InlineLink} label={i18n.t("tokens.revoke").to_string()} aria_label={format!("{} {}", i18n.t("tokens.revoke"), item.email)} onclick={act(on_revoke)} />
            </span>
        },
    ];
    (item.id.clone(), cells)
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct InviteProps {
    teams: Rc<Vec<TeamView>>,
    on_close: Callback<()>,
    on_invited: Callback<()>,
}

#[component]
fn Invite(props: &InviteProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let (email, roles) = (use_state_eq(String::new), use_state_eq(Roles::new));
    let errors = use_state_eq(Vec::<FieldError>::new);
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
    let action = use_action(
        move |request: CreateInvitationRequest| {
            let api = api.clone();
            async move { api.send::<CreateInvitation>(&[], &request).await }
        },
        on_done,
    );
    let on_submit = {
        let (email, roles, errors, on_run) =
            (email.clone(), roles.clone(), errors.setter(), action.on_run.clone());
        Callback::from(move |()| {
            let team = |(team_id, role): (&domain::id::TeamId, &domain::people::role::Role)| InvitedTeam {
                team_id: team_id.clone(),
                role: *role,
            };
            let request =
                CreateInvitationRequest { email: (*email).clone(), teams: roles.iter().map(team).collect() };
            match request.clone().validate() {
                Ok(_) => {
                    errors.set(vec![]);
                    on_run.emit(request);
                }
                Err(found) => errors.set(found),
            }
        })
    };
    let refused = action.error.as_ref().map_or(&**errors, |error| error.fields());
    let on_email = {
        let email = email.setter();
        Callback::from(move |text| email.set(text))
    };
    let on_roles = {
        let roles = roles.setter();
        Callback::from(move |next| roles.set(next))
    };
    if let Some(link) = made.as_ref().and_then(|invitation| invitation.link.clone()) {
        let footer = html! { <Button variant={ButtonVariant::Primary} label={i18n.t("app.close").to_string()} onclick={props.on_close.reform(|_| ())} /> };
        return html! {
            <Dialog title={i18n.t("invitation.by-link")} {footer} on_close={props.on_close.clone()}>
                <p>{ i18n.t("invitation.link-advice") }</p>
                <div class="tm-secret">
                    <code>{ &link }</code>
                    <CopyButton text={link.clone()} label={i18n.t("invitation.copy-link")} caption={i18n.t("copy.copy")} />
                </div>
            </Dialog>
        };
    }
    let footer = html! {
        <>
            <Button r#type={ButtonType::Submit} variant={ButtonVariant::Primary} label={i18n.t("users.invite").to_string()} loading={action.is_busy} disabled={action.is_busy || roles.is_empty()} />
            <Button variant={ButtonVariant::Link} label={i18n.t("app.cancel").to_string()} onclick={props.on_close.reform(|_| ())} />
        </>
    };
    html! {
        <Dialog title={i18n.t("users.invite")} {footer} on_close={props.on_close.clone()} {on_submit}>
            <div class="tm-form">
                <TextField label={i18n.t("invitation.address")} kind="email" value={(*email).clone()} on_change={on_email} error={error_of(refused, "email")} is_required=true is_first=true />
                <RoleTable teams={Rc::clone(&props.teams)} roles={(*roles).clone()} on_change={on_roles} />
                if let Some(error) = error_within(refused, "teams") {
                    <p class="tm-danger">{ i18n.message(&error) }</p>
                }
                if let Some(error) = action.error.filter(|error| error.fields().is_empty()) {
                    <CallErrorView {error} />
                }
            </div>
        </Dialog>
    }
}
