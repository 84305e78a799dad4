//! The form for a channel, new or not.

use super::draft::{Draft, FIELDS, new_secret};
use super::{event_name, kind_name};
use crate::api::{Api, CallError, use_api};
use crate::components::{
    Button, CheckField, CopyButton, Form, FormDialog, SelectField, TextField, use_conflict, use_form,
};
use crate::config::use_config;
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use crate::state::toasts::{Tone, use_toast};
use contract::channels::{ChannelRequest, ChannelView, CreateChannel, GetChannel, UpdateChannel};
use contract::teams::TeamView;
use domain::alert::channel::{ChannelKind, Language};
use domain::alert::event::Event;
use domain::people::role::{Action, Subject};
use patternfly_yew::prelude::ButtonVariant;
use std::rc::Rc;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ChannelFormProps {
    /// The channel to change; without one the form makes a channel.
    #[prop_or_default]
    pub channel: Option<Rc<ChannelView>>,
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// A request to save a channel.
enum Save {
    Create(ChannelRequest),
    Update(Rc<ChannelView>, ChannelRequest),
}

impl Save {
    async fn send(self, api: Api) -> Result<ChannelView, CallError> {
        match self {
            Self::Create(request) => api.request::<CreateChannel>().secret_body(&request).send().await,
            Self::Update(channel, request) => {
                let call = api.request::<UpdateChannel>().path(&[&channel.id]);
                call.secret_body(&request).if_match(channel.version).send().await
            }
        }
    }
}

/// Makes or changes a channel.
#[component]
pub fn ChannelForm(props: &ChannelFormProps) -> Html {
    let i18n = use_i18n();
    let (api, me, toast, rules) = (use_api(), use_me(), use_toast(), use_config().addresses());
    let on_done = {
        let (i18n, on_changed, on_close) = (i18n.clone(), props.on_changed.clone(), props.on_close.clone());
        Callback::from(move |_: ChannelView| {
            toast.emit((Tone::Success, i18n.t("channels.saved")));
            on_changed.emit(());
            on_close.emit(());
        })
    };
    let own: Vec<&TeamView> =
        props.teams.iter().filter(|team| can(&me, Action::ManageChannels, Subject::team(&team.id))).collect();
    let is_systems = can(&me, Action::ManageChannels, Subject::default());
    let first = own.first().filter(|_| !is_systems).map(|team| team.id.to_string());
    let opened = use_state(|| props.channel.clone());
    let mut form = {
        let (api, channel) = (api.clone(), (*opened).clone());
        use_form(
            || Draft { team: first.unwrap_or_default(), ..Draft::of(props.channel.as_deref()) },
            move |draft: &Draft| match &channel {
                None => draft.create().validate(None, rules).map(|_| Save::Create(draft.create())),
                Some(channel) => {
                    let request = draft.update(channel);
                    request
                        .clone()
                        .validate(Some(channel), rules)
                        .map(|_| Save::Update(Rc::clone(channel), request))
                }
            },
            move |save: Save| save.send(api.clone()),
            on_done,
        )
    };
    let reread = {
        let id = props.channel.as_ref().map(|channel| channel.id.clone()).unwrap_or_default();
        move || {
            let (api, id) = (api.clone(), id.clone());
            async move { api.request::<GetChannel>().path(&[&id]).send().await.map(|found| Some(Rc::new(found))) }
        }
    };
    use_conflict(
        &mut form,
        &opened,
        |channel| Draft::of(channel.as_deref()),
        FIELDS,
        reread,
        &props.on_changed,
    );
    let is_new = props.channel.is_none();
    let title = if is_new { i18n.t("channels.create") } else { i18n.t("channels.edit") };
    html! {
        <FormDialog label={if is_new { title.clone() } else { i18n.t("app.save") }} {title} submission={form.submission.clone()} on_close={props.on_close.clone()} is_wide=true>
            { head(&i18n, &form, is_new, &teams_of(&i18n, is_systems, &own)) }
            { receiver(&i18n, &form, is_new) }
            { what(&i18n, &form, is_new) }
        </FormDialog>
    }
}

fn teams_of(i18n: &I18n, is_systems: bool, own: &[&TeamView]) -> Vec<(AttrValue, AttrValue)> {
    let system = is_systems.then(|| (AttrValue::Static(""), i18n.t("channel.system")));
    let teams = own.iter().map(|team| (team.id.to_string().into(), team.name.clone().into()));
    system.into_iter().chain(teams).collect()
}

/// Name, team and language.
fn head(i18n: &I18n, form: &Form<Draft>, is_new: bool, teams: &[(AttrValue, AttrValue)]) -> Html {
    let draft = form.draft();
    let languages = vec![("en".into(), "English".into()), ("zh-Hant".into(), "繁體中文".into())];
    html! {
        <>
            <TextField label={i18n.t("channel.name")} value={draft.name.clone()} on_change={form.set(|d, text| d.name = text)} error={form.error("name")} is_required=true is_first=true />
            <div class="tm-form-row">
                if is_new {
                    <SelectField label={i18n.t("channel.team")} options={teams.to_vec()} value={draft.team.clone()} on_change={form.set(|d, text| d.team = text)} error={form.error("team_id")} help={i18n.t("channel.team-help")} />
                }
                <SelectField label={i18n.t("channel.language")} options={languages} value={draft.language.as_str()} on_change={form.set(|d, text: String| d.language = Language::parse(&text).unwrap_or_default())} />
            </div>
        </>
    }
}

/// The receiver: its kind, address and secret. A channel that exists keeps its receiver unless it is replaced.
fn receiver(i18n: &I18n, form: &Form<Draft>, is_new: bool) -> Html {
    let draft = form.draft();
    let kinds =
        ChannelKind::ALL.map(|kind| (AttrValue::Static(kind.as_str()), kind_name(i18n, kind))).to_vec();
    let on_kind = form.set(|d, text: String| d.kind = ChannelKind::parse(&text).unwrap_or_default());
    html! {
        <>
            if !is_new {
                <CheckField label={i18n.t("channel.replace")} is_checked={draft.is_replaced} on_change={form.set(|d, is_on| d.is_replaced = is_on)} />
            }
            if draft.is_replaced {
                <SelectField label={i18n.t("channel.kind")} options={kinds} value={draft.kind.as_str()} on_change={on_kind} />
                if draft.kind == ChannelKind::Telegram {
                    <TextField label={i18n.t("channel.bot")} kind="password" value={draft.secret.clone()} on_change={form.set(|d, text| d.secret = text)} error={form.error("target.token")} is_required=true />
                    <TextField label={i18n.t("channel.chat")} value={draft.chat.clone()} on_change={form.set(|d, text| d.chat = text)} error={form.error("target.chat")} placeholder="-1001234567890" is_required=true />
                } else {
                    <TextField label={i18n.t("channel.url")} value={draft.url.clone()} on_change={form.set(|d, text| d.url = text)} error={form.error("target.url")} placeholder="https://" is_required=true />
                }
                if draft.kind == ChannelKind::Webhook {
                    { signing(i18n, form) }
                }
            }
        </>
    }
}

/// The signing secret, which the browser can make. It is shown here alone.
fn signing(i18n: &I18n, form: &Form<Draft>) -> Html {
    let secret = form.draft().secret.clone();
    let on_make = form.set(|draft, ()| draft.secret = new_secret().unwrap_or_default());
    html! {
        <>
            <TextField label={i18n.t("channel.secret")} value={secret.clone()} on_change={form.set(|d, text| d.secret = text)} error={form.error("target.secret")} help={i18n.t("channel.secret-help")} is_required=true />
            <span class="tm-labels">
                <Button variant={ButtonVariant::Secondary} class="pf-m-small" label={i18n.t("channel.make-secret").to_string()} onclick={on_make.reform(|_| ())} />
                if !secret.is_empty() {
                    <CopyButton text={secret} label={i18n.t("channel.secret")} />
                }
            </span>
        </>
    }
}

/// The events, thresholds, and whether it is on.
fn what(i18n: &I18n, form: &Form<Draft>, is_new: bool) -> Html {
    let draft = form.draft();
    let set = form.set(|draft, (event, is_on): (Event, bool)| {
        draft.events.retain(|other| *other != event);
        if is_on {
            draft.events.push(event);
            draft.events.sort_unstable();
        }
    });
    let box_of = |event: Event| {
        html! { <CheckField key={event.as_str()} label={event_name(i18n, event)} is_checked={draft.events.contains(&event)} on_change={set.reform(move |is_on| (event, is_on))} /> }
    };
    html! {
        <>
            <fieldset class="tm-fieldset">
                <legend class="pf-v6-c-form__label-text">{ i18n.t("channel.events") }</legend>
                { for draft.choices().map(box_of) }
                if let Some(error) = form.error("events") {
                    <p class="tm-danger" tabindex="-1" data-invalid="true" role="alert">{ i18n.problem(&error) }</p>
                }
            </fieldset>
            if draft.events.contains(&Event::Budget) {
                <TextField label={i18n.t("channel.thresholds")} value={draft.thresholds.clone()} on_change={form.set(|d, text| d.thresholds = text)} error={form.error("thresholds")} />
            }
            if !is_new {
                <CheckField label={i18n.t("channel.enabled")} is_checked={draft.enabled} on_change={form.set(|d, is_on| d.enabled = is_on)} />
            }
        </>
    }
}
