//! Invitations that wait to be accepted.

use super::invite::Invite;
use crate::api::use_api;
use crate::components::{
    AsyncView, Button, CallErrorView, Column, CopyButton, DataTable, FormDialog, Pager, RoleLabel, Row,
    Submission, Time,
};
use crate::hooks::{setter, use_action, use_paged};
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::{Tone, use_toast};
use contract::Page as Items;
use contract::invitations::{
    Delivery, InvitationQuery, InvitationState, InvitationView, ListInvitations, ResendInvitation,
    RevokeInvitation,
};
use contract::teams::TeamView;
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

/// The pending invitations, and the form for another one.
#[component]
pub fn Invitations(props: &InvitationsProps) -> Html {
    let i18n = use_i18n();
    let (api, toast) = (use_api(), use_toast());
    let pending = {
        let api = api.clone();
        use_paged("invitations", (), move |(), cursor| {
            let api = api.clone();
            async move {
                let query = InvitationQuery {
                    state: Some(InvitationState::Pending),
                    cursor,
                    ..InvitationQuery::default()
                };
                api.request::<ListInvitations>().query(&query).send().await
            }
        })
    };
    let (on_refresh, items) = (pending.remote.on_refresh.clone(), pending.items());
    let done = |text: fn(&I18n) -> AttrValue| {
        let (i18n, toast, on_refresh) = (i18n.clone(), toast.clone(), on_refresh.clone());
        Callback::from(move |_: InvitationView| {
            toast.emit((Tone::Success, text(&i18n)));
            on_refresh.emit(());
        })
    };
    let on_resent = done(|i18n| i18n.t("invitation.resent"));
    let revoking = use_state_eq(|| None::<InvitationView>);
    let on_revoked = done(|i18n| i18n.t("invitation.revoked"));
    let resend = {
        let api = api.clone();
        use_action(
            move |id: String| {
                let api = api.clone();
                async move { api.request::<ResendInvitation>().path(&[&id]).send().await }
            },
            on_resent,
        )
    };
    let (asked, on_ask) = (revoking.as_ref().cloned(), setter(&revoking));
    let on_close = on_ask.reform(|()| None);
    let render = {
        let (i18n, on_resend, on_ask) = (i18n.clone(), resend.on_run.clone(), on_ask.reform(Some));
        Callback::from(move |page: Rc<Items<InvitationView>>| table(&i18n, &page.items, &on_resend, &on_ask))
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
                    if let Some(error) = resend.error {
                        <CallErrorView {error} />
                    }
                    if let Some(invitation) = asked {
    <Revoke {invitation} {on_close} {on_revoked} />
                    }
                    <AsyncView<Items<InvitationView>>
                        state={pending.remote.state}
                        on_retry={pending.remote.on_refresh}
                        {render}
                        is_empty={Callback::from(|page: Rc<Items<InvitationView>>| page.items.is_empty())}
                        empty={html! { <p class="tm-subtle">{ i18n.t("invitation.none") }</p> }}
                    />
                    <Pager number={pending.number} {items} on_previous={pending.on_previous} on_next={pending.on_next} />
                    if props.is_inviting {
                        <Invite teams={Rc::clone(&props.teams)} on_close={props.on_close.clone()} {on_invited} />
                    }
                </CardBody>
            </Card>
        }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct RevokeProps {
    invitation: InvitationView,
    on_close: Callback<()>,
    on_revoked: Callback<InvitationView>,
}

/// Revokes an invitation, after asking.
#[component]
fn Revoke(props: &RevokeProps) -> Html {
    let i18n = use_i18n();
    let (api, id) = (use_api(), props.invitation.id.clone());
    let on_done = {
        let (on_close, on_revoked) = (props.on_close.clone(), props.on_revoked.clone());
        Callback::from(move |invitation| {
            on_close.emit(());
            on_revoked.emit(invitation);
        })
    };
    let action = use_action(
        move |()| {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<RevokeInvitation>().path(&[&id]).send().await }
        },
        on_done,
    );
    let advice = i18n.fill("invitation.revoke-advice", &[("email", &props.invitation.email)]);
    html! {
        <FormDialog
            label={i18n.t("tokens.revoke")}
            title={i18n.t("invitation.revoke")}
            submission={Submission::from(action)}
            on_close={props.on_close.clone()}
            is_danger=true
        >
            <p class="tm-address">{ advice }</p>
        </FormDialog>
    }
}

fn table(
    i18n: &I18n,
    items: &[InvitationView],
    on_resend: &Callback<String>,
    on_revoke: &Callback<InvitationView>,
) -> Html {
    let columns = [
        i18n.t("invitation.address"),
        i18n.t("users.teams"),
        i18n.t("invitation.delivery"),
        i18n.t("token.expires"),
        i18n.t("app.actions"),
    ]
    .map(Column::new);
    let rows: Vec<Row> = items.iter().map(|item| row(i18n, item, on_resend, on_revoke)).collect();
    html! { <DataTable label={i18n.t("invitation.pending")} columns={columns.to_vec()} {rows} /> }
}

fn row(
    i18n: &I18n,
    item: &InvitationView,
    on_resend: &Callback<String>,
    on_revoke: &Callback<InvitationView>,
) -> Row {
    let teams =
        item.teams.iter().map(|team| html! { <RoleLabel role={team.role} team={team.team_name.clone()} /> });
    let delivery = match item.delivery {
        Delivery::Sent => i18n.t("invitation.sent"),
        Delivery::Due => i18n.t("invitation.due"),
        Delivery::Link => i18n.t("invitation.by-link"),
    };
    let (id, whole) = (item.id.clone(), item.clone());
    let on_resend = on_resend.reform(move |_: MouseEvent| id.clone());
    let on_revoke = on_revoke.reform(move |_: MouseEvent| whole.clone());
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
        html! { <Time at={item.expires_at} is_end=true /> },
        html! {
            <span class="tm-labels tm-snippets tm-actions">
                <Button variant={ButtonVariant::InlineLink} label={i18n.t("invitation.resend").to_string()} aria_label={format!("{} {}", i18n.t("invitation.resend"), item.email)} onclick={on_resend} />
                <Button variant={ButtonVariant::InlineLink} label={i18n.t("tokens.revoke").to_string()} aria_label={format!("{} {}", i18n.t("tokens.revoke"), item.email)} onclick={on_revoke} />
            </span>
        },
    ];
    (item.id.clone(), cells)
}
