//! The fields of a credential: one component a kind.

use super::draft::{Choice, CredentialDraft};
use crate::components::{Button, CheckField, TextField, edit, error_of};
use crate::i18n::{I18n, use_i18n};
use domain::credential::pool::ShownPool;
use domain::credential::{CredentialKind, MAX_HEADERS};
use domain::error::FieldError;
use domain::problem::Problem;
use patternfly_yew::prelude::*;
use yew::prelude::*;

/// The properties of the fields of every kind.
#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CredentialFieldsProps {
    pub draft: CredentialDraft,
    pub on_change: Callback<CredentialDraft>,
    /// The kind that is set.
    #[prop_or_default]
    pub present: Option<CredentialKind>,
    /// The pool that is set.
    #[prop_or_default]
    pub pool: Option<ShownPool>,
    pub errors: Vec<FieldError>,
    /// Whether the first field that a vendor does not fill in gets the focus when the form opens.
    #[prop_or_default]
    pub is_first: bool,
}

/// Returns the fields of a kind.
pub fn fields_of(kind: CredentialKind, props: &CredentialFieldsProps) -> Html {
    let props = props.clone();
    match kind {
        CredentialKind::Bearer => html! { <BearerFields ..props /> },
        CredentialKind::Header => html! { <HeaderFields ..props /> },
        CredentialKind::Basic => html! { <BasicFields ..props /> },
        CredentialKind::Query => html! { <QueryFields ..props /> },
        CredentialKind::Headers => html! { <HeadersFields ..props /> },
        CredentialKind::Oauth2ClientCredentials => html! { <OauthFields ..props /> },
        CredentialKind::GoogleServiceAccount => html! { <GoogleFields ..props /> },
        CredentialKind::AwsSigv4 => html! { <AwsFields ..props /> },
        // No pool is within another; its own fields are `PoolFields`.
        CredentialKind::Pool => html! {},
    }
}

impl CredentialFieldsProps {
    fn set<V: 'static>(&self, change: fn(&mut CredentialDraft, V)) -> Callback<V> {
        edit(&self.draft, &self.on_change, change)
    }

    fn error(&self, field: &str) -> Option<Problem> {
        error_of(&self.errors, &format!("credential.{field}")).or_else(|| error_of(&self.errors, field))
    }

    /// The name of the header, parameter, user or key.
    fn name(&self, label: AttrValue, field: &str, placeholder: Option<AttrValue>) -> Html {
        html! {
            <TextField
                {label}
                value={self.draft.name.clone()}
                on_change={self.set(|draft, text| draft.name = text)}
                error={self.error(field)}
                {placeholder}
                is_first={self.is_first && self.draft.name.is_empty()}
                is_required=true
            />
        }
    }

    /// The secret. Left blank it keeps a secret of the same kind.
    fn secret(&self, i18n: &I18n, label: AttrValue, field: &str) -> Html {
        let keeps = self.present.is_some_and(|kind| self.draft.choice == Choice::Set(kind));
        html! {
            <TextField
                {label}
                kind="password"
                value={self.draft.secret.clone()}
                on_change={self.set(|draft, text| draft.secret = text)}
                error={self.error(field)}
                is_first={self.is_first}
                help={if keeps { i18n.t("credential.blank-keeps") } else { i18n.t("credential.write-only") }}
                is_required={!keeps}
            />
        }
    }

    /// A field that is no secret and may be empty.
    fn text(
        &self,
        label: AttrValue,
        field: &str,
        value: &str,
        change: fn(&mut CredentialDraft, String),
    ) -> Html {
        html! { <TextField {label} value={value.to_owned()} on_change={self.set(change)} error={self.error(field)} /> }
    }
}

#[component]
fn BearerFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    props.secret(&i18n, i18n.t("credential.token"), "token")
}

#[component]
fn HeaderFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    html! {
        <>
            { props.name(i18n.t("credential.header-name"), "name", Some("X-API-Key".into())) }
            <TextField
                label={i18n.t("credential.prefix")}
                value={props.draft.prefix.clone()}
                on_change={props.set(|draft, text| draft.prefix = text)}
                error={props.error("prefix")}
                help={i18n.t("credential.prefix-help")}
            />
            { props.secret(&i18n, i18n.t("credential.value"), "value") }
        </>
    }
}

#[component]
fn BasicFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    html! {
        <>
            { props.name(i18n.t("credential.username"), "username", None) }
            { props.secret(&i18n, i18n.t("credential.password"), "password") }
        </>
    }
}

#[component]
fn QueryFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    html! {
        <>
            { props.name(i18n.t("credential.parameter"), "parameter", None) }
            { props.secret(&i18n, i18n.t("credential.value"), "value") }
        </>
    }
}

#[component]
fn HeadersFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    html! {
        <>
            <div class="tm-form-row">
                { props.name(i18n.t("credential.header-name"), "headers", Some("X-API-Key".into())) }
                { props.secret(&i18n, i18n.t("credential.value"), "value") }
            </div>
            <MoreHeaders headers={props.draft.more.clone()} on_change={props.set(|draft, more| draft.more = more)} />
        </>
    }
}

#[component]
fn OauthFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let draft = &props.draft;
    html! {
        <>
            { props.text(i18n.t("credential.token-url"), "token_url", &draft.token_url, |d, text| d.token_url = text) }
            { props.name(i18n.t("credential.client-id"), "client_id", None) }
            { props.secret(&i18n, i18n.t("credential.client-secret"), "client_secret") }
            <div class="tm-form-row">
                { props.text(i18n.t("credential.scope"), "scope", &draft.scope, |d, text| d.scope = text) }
                { props.text(i18n.t("credential.audience"), "audience", &draft.audience, |d, text| d.audience = text) }
            </div>
            <CheckField
                label={i18n.t("credential.in-body")}
                is_checked={draft.is_in_body}
                on_change={props.set(|draft, is_on| draft.is_in_body = is_on)}
                help={i18n.t("credential.in-body-help")}
            />
        </>
    }
}

/// A file of several lines may be pasted: JSON has no use for the line breaks that the field drops.
#[component]
fn GoogleFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let draft = &props.draft;
    html! {
        <>
            { props.secret(&i18n, i18n.t("credential.key-file"), "key_file") }
            <p class="tm-subtle">{ i18n.t("credential.key-file-advice") }</p>
            <div class="tm-form-row">
                { props.text(i18n.t("credential.scope"), "scope", &draft.scope, |d, text| d.scope = text) }
                { props.text(i18n.t("credential.subject"), "subject", &draft.subject, |d, text| d.subject = text) }
            </div>
        </>
    }
}

#[component]
fn AwsFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let draft = &props.draft;
    html! {
        <>
            { props.name(i18n.t("credential.access-key-id"), "access_key_id", None) }
            { props.secret(&i18n, i18n.t("credential.secret-access-key"), "secret_access_key") }
            <TextField
                label={i18n.t("credential.session-token")}
                kind="password"
                value={draft.session_token.clone()}
                on_change={props.set(|draft, text| draft.session_token = text)}
                error={props.error("session_token")}
                help={i18n.t("credential.session-token-help")}
            />
            <div class="tm-form-row">
                { props.text(i18n.t("credential.region"), "region", &draft.region, |d, text| d.region = text) }
                { props.text(i18n.t("credential.service"), "service", &draft.service, |d, text| d.service = text) }
            </div>
            <RoleFields ..props.clone() />
        </>
    }
}

/// The role that the keys assume. Its other fields appear once it has an ARN.
#[component]
fn RoleFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let role = &props.draft.role;
    html! {
        <>
            <TextField
                label={i18n.t("credential.role-arn")}
                value={role.arn.clone()}
                on_change={props.set(|draft, text| draft.role.arn = text)}
                error={props.error("role.arn")}
                help={i18n.t("credential.role-arn-help")}
            />
            if !role.arn.trim().is_empty() {
                <div class="tm-form-row">
                    { props.text(i18n.t("credential.external-id"), "role.external_id", &role.external_id, |d, text| d.role.external_id = text) }
                    { props.text(i18n.t("credential.session-name"), "role.session_name", &role.session_name, |d, text| d.role.session_name = text) }
                </div>
                <div class="tm-form-row">
                    { props.text(i18n.t("credential.sts-url"), "role.sts_url", &role.sts_url, |d, text| d.role.sts_url = text) }
                </div>
            }
        </>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct MoreHeadersProps {
    headers: Vec<(String, String)>,
    on_change: Callback<Vec<(String, String)>>,
}

/// The headers after the first, which can be added and removed.
#[component]
fn MoreHeaders(props: &MoreHeadersProps) -> Html {
    let i18n = use_i18n();
    let rows = props.headers.iter().enumerate().map(|(i, (name, value))| {
        let on_name = edit(&props.headers, &props.on_change, move |headers: &mut Vec<(String, String)>, text| {
            if let Some(header) = headers.get_mut(i) {
                header.0 = text;
            }
        });
        let on_value = edit(&props.headers, &props.on_change, move |headers: &mut Vec<(String, String)>, text| {
            if let Some(header) = headers.get_mut(i) {
                header.1 = text;
            }
        });
        let on_remove = edit(&props.headers, &props.on_change, move |headers: &mut Vec<_>, _: MouseEvent| {
            headers.remove(i);
        });
        let number = (i + 2).to_string();
        html! {
            <div class="tm-form-row">
                <TextField label={i18n.fill("credential.header-nth", &[("number", &number)])} value={name.clone()} on_change={on_name} is_required=true />
                <TextField label={i18n.fill("credential.value-nth", &[("number", &number)])} kind="password" value={value.clone()} on_change={on_value} is_required=true />
                <Button variant={ButtonVariant::Link} label={i18n.fill("credential.remove-header", &[("number", &number)]).to_string()} onclick={on_remove} />
            </div>
        }
    });
    let on_add = edit(&props.headers, &props.on_change, |headers: &mut Vec<_>, _: MouseEvent| {
        headers.push(Default::default());
    });
    html! {
        <>
            { for rows }
            <Button
                variant={ButtonVariant::Link}
                label={i18n.t("credential.add-header").to_string()}
                onclick={on_add}
                disabled={props.headers.len() + 1 >= MAX_HEADERS}
            />
        </>
    }
}
