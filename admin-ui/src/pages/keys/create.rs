//! The form for a new admin API key.

use super::reveal::Reveal;
use super::roles::{KeyRoles, Roles};
use crate::api::use_api;
use crate::clock;
use crate::components::{
    CheckField, Form, FormDialog, SelectField, TextAreaField, TextField, filled, use_form,
};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::use_me;
use contract::keys::{CreateKey as Endpoint, CreateKeyRequest, KeyCreated, KeyRole};
use contract::teams::TeamView;
use domain::people::key::Power;
use std::rc::Rc;
use yew::prelude::*;

const DEFAULT_DAYS: &str = "90";
const DAYS: [&str; 5] = ["7", "30", DEFAULT_DAYS, "180", "365"];

/// The form as it is typed in.
#[derive(Clone, Debug, Default, PartialEq)]
struct Draft {
    name: String,
    roles: Roles,
    days: String,
    is_read_only: bool,
    sets_credentials: bool,
    assigns_senior: bool,
    /// One address or network a line.
    ip_allow: String,
}

impl Draft {
    fn request(&self) -> CreateKeyRequest {
        let role = |(team, role): (&_, &_)| KeyRole { team_id: Clone::clone(team), role: *role };
        let powers =
            [(self.sets_credentials, Power::SetCredential), (self.assigns_senior, Power::AssignSenior)];
        CreateKeyRequest {
            name: self.name.clone(),
            roles: self.roles.iter().map(role).collect(),
            // Unparsable input becomes an out-of-range value, so validation reports it.
            expires_days: Some(self.days.parse().unwrap_or(-1)),
            read_only: self.is_read_only,
            may: powers.into_iter().filter(|(is_on, _)| *is_on).map(|(_, power)| power).collect(),
            ip_allow: self.ip_allow.lines().filter_map(filled).collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CreateKeyProps {
    pub teams: Rc<Vec<TeamView>>,
    pub on_close: Callback<()>,
    pub on_created: Callback<()>,
}

/// The form, then the key, once.
#[component]
pub fn CreateKey(props: &CreateKeyProps) -> Html {
    let i18n = use_i18n();
    let (api, maker) = (use_api(), use_me().caller());
    let made = use_state_eq(|| None::<KeyCreated>);
    let on_done = {
        let (made, on_created) = (made.setter(), props.on_created.clone());
        Callback::from(move |created: KeyCreated| {
            on_created.emit(());
            made.set(Some(created));
        })
    };
    let form = use_form(
        || Draft { days: DEFAULT_DAYS.to_owned(), ..Draft::default() },
        move |draft: &Draft| draft.request().validate(&maker, clock::now()).map(|_| draft.request()),
        move |request: CreateKeyRequest| {
            let api = api.clone();
            async move { api.request::<Endpoint>().body(&request).send().await }
        },
        on_done,
    );
    if let Some(created) = (*made).clone() {
        return html! { <Reveal {created} on_close={props.on_close.clone()} /> };
    }
    let (draft, title) = (form.draft(), i18n.t("keys.create"));
    html! {
        <FormDialog label={title.clone()} {title} submission={form.submission.clone()} on_close={props.on_close.clone()} is_wide=true>
            <TextField
                label={i18n.t("token.name")}
                value={draft.name.clone()}
                on_change={form.set(|draft, text| draft.name = text)}
                error={form.error("name")}
                help={i18n.t("keys.name-help")}
                is_required=true
                is_first=true
            />
            <KeyRoles teams={Rc::clone(&props.teams)} roles={draft.roles.clone()} on_change={form.set(|draft, roles| draft.roles = roles)} />
            if let Some(error) = form.error_within("roles") {
                <p class="tm-danger" tabindex="-1" data-invalid="true" role="alert">{ i18n.problem(&error) }</p>
            }
            <SelectField
                label={i18n.t("token.expires")}
                options={DAYS.map(|days| (AttrValue::Static(days), i18n.fill("token.days", &[("days", days)]))).to_vec()}
                value={draft.days.clone()}
                on_change={form.set(|draft, text| draft.days = text)}
                error={form.error("expires_days")}
            />
            { bounds(&i18n, &form) }
        </FormDialog>
    }
}

/// The fields that narrow the key, and those that give it what no key has by itself.
fn bounds(i18n: &I18n, form: &Form<Draft>) -> Html {
    let draft = form.draft();
    html! {
        <>
            <TextAreaField
                label={i18n.t("token.ip-allow")}
                value={draft.ip_allow.clone()}
                on_change={form.set(|draft, text| draft.ip_allow = text)}
                help={i18n.t("token.ip-allow-help")}
                error={form.error_within("ip_allow")}
            />
            <CheckField
                label={i18n.t("keys.read-only")}
                is_checked={draft.is_read_only}
                on_change={form.set(|draft, is_on| draft.is_read_only = is_on)}
                help={i18n.t("keys.read-only-help")}
            />
            <CheckField
                label={i18n.t("keys.set-credential")}
                is_checked={draft.sets_credentials}
                on_change={form.set(|draft, is_on| draft.sets_credentials = is_on)}
            />
            <CheckField
                label={i18n.t("keys.assign-senior")}
                is_checked={draft.assigns_senior}
                on_change={form.set(|draft, is_on| draft.assigns_senior = is_on)}
            />
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_gives_the_power_that_it_names_and_no_other() {
        let draft = Draft { assigns_senior: true, ip_allow: " 10.0.0.0/8\n\n".into(), ..Draft::default() };
        let request = draft.request();
        assert_eq!(
            (request.may, request.ip_allow),
            (vec![Power::AssignSenior], vec!["10.0.0.0/8".to_owned()])
        );
        assert!(Draft::default().request().may.is_empty());
    }
}
