//! The fields of a credential. Secrets are written and never read back: a field shows nothing of
//! what is set, and left blank it keeps it.

use crate::components::{CheckField, SelectField, TextField, error_of};
use crate::i18n::use_i18n;
use contract::routes::check_credential;
use domain::credential::{Credential, CredentialKind, MAX_HEADERS};
use domain::error::FieldError;
use patternfly_yew::prelude::*;
use serde_json::{Value, json};
use yew::prelude::*;

/// What is typed in. It goes with the form that holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialDraft {
    pub choice: Choice,
    /// Name of the header or parameter, of the user, or of the key.
    pub name: String,
    pub prefix: String,
    pub secret: String,
    /// Further headers, each with its value.
    pub more: Vec<(String, String)>,
    pub token_url: String,
    pub scope: String,
    pub audience: String,
    pub is_in_body: bool,
    pub session_token: String,
    pub region: String,
    pub service: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// As it is: of a new route none, of another what is set.
    #[default]
    Keep,
    Clear,
    Set(CredentialKind),
}

const KINDS: [CredentialKind; 7] = [
    CredentialKind::Bearer,
    CredentialKind::Header,
    CredentialKind::Headers,
    CredentialKind::Basic,
    CredentialKind::Query,
    CredentialKind::Oauth2ClientCredentials,
    CredentialKind::AwsSigv4,
];

impl Choice {
    fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Clear => "clear",
            Self::Set(kind) => kind.as_str(),
        }
    }

    fn of(name: &str) -> Self {
        let kind = KINDS.into_iter().find(|kind| kind.as_str() == name);
        match (name, kind) {
            ("clear", _) => Self::Clear,
            (_, Some(kind)) => Self::Set(kind),
            _ => Self::Keep,
        }
    }
}

impl CredentialDraft {
    /// What is to be set. The same kind as `present` with a blank secret keeps what there is.
    pub fn value(&self, present: Option<CredentialKind>) -> Option<Value> {
        let Choice::Set(kind) = self.choice else { return None };
        if present == Some(kind) && self.secret.is_empty() {
            return None;
        }
        let (name, secret) = (self.name.trim(), &self.secret);
        let optional = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Some(match kind {
            CredentialKind::Bearer => json!({"kind": "bearer", "token": secret}),
            CredentialKind::Header => {
                let prefix = (!self.prefix.is_empty()).then_some(&self.prefix);
                json!({"kind": "header", "name": name, "prefix": prefix, "value": secret})
            }
            CredentialKind::Basic => json!({"kind": "basic", "username": name, "password": secret}),
            CredentialKind::Query => json!({"kind": "query", "parameter": name, "value": secret}),
            CredentialKind::Headers => {
                let headers: Vec<_> = std::iter::once((name, secret))
                    .chain(self.more.iter().map(|(name, value)| (name.trim(), value)))
                    .map(|(name, value)| json!({"name": name, "value": value}))
                    .collect();
                json!({"kind": "headers", "headers": headers})
            }
            CredentialKind::Oauth2ClientCredentials => json!({
                "kind": "oauth2_client_credentials", "token_url": self.token_url.trim(), "client_id": name,
                "client_secret": secret, "scope": optional(&self.scope), "audience": optional(&self.audience),
                "client_auth": if self.is_in_body { "body" } else { "basic" },
            }),
            CredentialKind::AwsSigv4 => json!({
                "kind": "aws_sigv4", "access_key_id": name, "secret_access_key": secret,
                "session_token": optional(&self.session_token), "region": self.region.trim(),
                "service": self.service.trim(),
            }),
        })
    }

    /// What `domain` finds wrong with it, under names that begin with `credential.`.
    pub fn errors(&self, present: Option<CredentialKind>, is_local: bool) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(value) = self.value(present) {
            match serde_json::from_value::<Credential>(value) {
                Ok(credential) => check_credential("credential.", &credential, is_local, &mut errors),
                Err(why) => errors.push(FieldError::new("credential.kind", why.to_string())),
            }
        }
        errors
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct CredentialFieldsProps {
    pub draft: CredentialDraft,
    pub on_change: Callback<CredentialDraft>,
    /// What is set.
    #[prop_or_default]
    pub present: Option<CredentialKind>,
    pub errors: Vec<FieldError>,
}

#[component]
pub fn CredentialFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let mut options = vec![(
        Choice::Keep,
        if props.present.is_some() { i18n.t("credential.keep") } else { i18n.t("credential.none") },
    )];
    options.extend(KINDS.map(|kind| (Choice::Set(kind), super::kind_name(&i18n, kind))));
    if props.present.is_some() {
        options.push((Choice::Clear, i18n.t("credential.clear")));
    }
    let options: Vec<_> =
        options.into_iter().map(|(choice, text)| (AttrValue::Static(choice.name()), text)).collect();
    let set = |change: fn(&mut CredentialDraft, String)| {
        let draft = props.draft.clone();
        props.on_change.reform(move |text: String| {
            let mut draft = draft.clone();
            change(&mut draft, text);
            draft
        })
    };
    let keeps = matches!(props.draft.choice, Choice::Set(kind) if props.present == Some(kind));
    let error = |name: &str| {
        error_of(&props.errors, &format!("credential.{name}")).or_else(|| error_of(&props.errors, name))
    };
    let name = |label: AttrValue, field: &str, placeholder: Option<AttrValue>| {
        html! {
            <TextField
                {label}
                value={props.draft.name.clone()}
                on_change={set(|draft, text| draft.name = text)}
                error={error(field)}
                {placeholder}
                is_required=true
            />
        }
    };
    let secret = |label: AttrValue, field: &str| {
        html! {
            <TextField
                {label}
                kind="password"
                value={props.draft.secret.clone()}
                on_change={set(|draft, text| draft.secret = text)}
                error={error(field)}
                help={if keeps { i18n.t("credential.blank-keeps") } else { i18n.t("credential.write-only") }}
                is_required={!keeps}
            />
        }
    };
    let plain = |label: AttrValue, field: &str, value: &str, change: fn(&mut CredentialDraft, String)| {
        html! { <TextField {label} value={value.to_owned()} on_change={set(change)} error={error(field)} /> }
    };
    let draft = &props.draft;
    let fields = match draft.choice {
        Choice::Keep => html! {},
        Choice::Clear => html! { <p class="tm-danger">{ i18n.t("credential.clear-advice") }</p> },
        Choice::Set(CredentialKind::Bearer) => secret(i18n.t("credential.token"), "token"),
        Choice::Set(CredentialKind::Header) => html! {
            <>
                { name(i18n.t("credential.header-name"), "name", Some("X-API-Key".into())) }
                <TextField
                    label={i18n.t("credential.prefix")}
                    value={props.draft.prefix.clone()}
                    on_change={set(|draft, text| draft.prefix = text)}
                    error={error("prefix")}
                    help={i18n.t("credential.prefix-help")}
                />
                { secret(i18n.t("credential.value"), "value") }
            </>
        },
        Choice::Set(CredentialKind::Basic) => html! {
            <>
                { name(i18n.t("credential.username"), "username", None) }
                { secret(i18n.t("credential.password"), "password") }
            </>
        },
        Choice::Set(CredentialKind::Query) => html! {
            <>
                { name(i18n.t("credential.parameter"), "parameter", None) }
                { secret(i18n.t("credential.value"), "value") }
            </>
        },
        Choice::Set(CredentialKind::Headers) => html! {
            <>
                <div class="tm-form-row">
                    { name(i18n.t("credential.header-name"), "headers", Some("X-API-Key".into())) }
                    { secret(i18n.t("credential.value"), "value") }
                </div>
                <MoreHeaders headers={draft.more.clone()} on_change={props.on_change.reform({
                    let draft = draft.clone();
                    move |more| CredentialDraft { more, ..draft.clone() }
                })} />
            </>
        },
        Choice::Set(CredentialKind::Oauth2ClientCredentials) => html! {
            <>
                { plain(i18n.t("credential.token-url"), "token_url", &draft.token_url, |d, text| d.token_url = text) }
                { name(i18n.t("credential.client-id"), "client_id", None) }
                { secret(i18n.t("credential.client-secret"), "client_secret") }
                <div class="tm-form-row">
                    { plain(i18n.t("credential.scope"), "scope", &draft.scope, |d, text| d.scope = text) }
                    { plain(i18n.t("credential.audience"), "audience", &draft.audience, |d, text| d.audience = text) }
                </div>
                <CheckField
                    label={i18n.t("credential.in-body")}
                    is_checked={draft.is_in_body}
                    on_change={props.on_change.reform({
                        let draft = draft.clone();
                        move |is_in_body| CredentialDraft { is_in_body, ..draft.clone() }
                    })}
                    help={i18n.t("credential.in-body-help")}
                />
            </>
        },
        Choice::Set(CredentialKind::AwsSigv4) => html! {
            <>
                { name(i18n.t("credential.access-key-id"), "access_key_id", None) }
                { secret(i18n.t("credential.secret-access-key"), "secret_access_key") }
                <TextField
                    label={i18n.t("credential.session-token")}
                    kind="password"
                    value={draft.session_token.clone()}
                    on_change={set(|draft, text| draft.session_token = text)}
                    error={error("session_token")}
                    help={i18n.t("credential.session-token-help")}
                />
                <div class="tm-form-row">
                    { plain(i18n.t("credential.region"), "region", &draft.region, |d, text| d.region = text) }
                    { plain(i18n.t("credential.service"), "service", &draft.service, |d, text| d.service = text) }
                </div>
            </>
        },
    };
    html! {
        <fieldset class="tm-fieldset">
            <legend class="pf-v6-c-form__label-text">{ i18n.t("route.credential") }</legend>
            <SelectField
                label={i18n.t("credential.kind")}
                {options}
                value={props.draft.choice.name()}
                on_change={set(|draft, text| draft.choice = Choice::of(&text))}
                error={error("kind")}
            />
            { fields }
        </fieldset>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct MoreHeadersProps {
    headers: Vec<(String, String)>,
    on_change: Callback<Vec<(String, String)>>,
}

fn edited(
    props: &MoreHeadersProps,
    edit: impl Fn(&mut Vec<(String, String)>, String) + 'static,
) -> Callback<String> {
    let headers = props.headers.clone();
    props.on_change.reform(move |text| {
        let mut headers = headers.clone();
        edit(&mut headers, text);
        headers
    })
}

/// The headers after the first, which can be added and taken away.
#[component]
fn MoreHeaders(props: &MoreHeadersProps) -> Html {
    let i18n = use_i18n();
    let rows = props.headers.iter().enumerate().map(|(i, (name, value))| {
        let on_name = edited(props, move |headers, text| {
            if let Some(header) = headers.get_mut(i) {
                header.0 = text;
            }
        });
        let on_value = edited(props, move |headers, text| {
            if let Some(header) = headers.get_mut(i) {
                header.1 = text;
            }
        });
        let on_remove = edited(props, move |headers, _| {
            headers.remove(i);
        });
        let number = (i + 2).to_string();
        html! {
            <div class="tm-form-row">
                <TextField label={i18n.fill("credential.header-nth", &[("number", &number)])} value={name.clone()} on_change={on_name} is_required=true />
                <TextField label={i18n.fill("credential.value-nth", &[("number", &number)])} kind="password" value={value.clone()} on_change={on_value} is_required=true />
                <Button variant={ButtonVariant::Link} label={i18n.fill("credential.remove-header", &[("number", &number)]).to_string()} onclick={on_remove.reform(|_| String::new())} />
            </div>
        }
    });
    let on_add = edited(props, |headers, _| headers.push(Default::default()));
    html! {
        <>
            { for rows }
            <Button
                variant={ButtonVariant::Link}
                label={i18n.t("credential.add-header").to_string()}
                onclick={on_add.reform(|_| String::new())}
                disabled={props.headers.len() + 1 >= MAX_HEADERS}
            />
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(choice: Choice, name: &str, secret: &str) -> CredentialDraft {
        CredentialDraft {
            choice,
            name: name.into(),
            secret: secret.into(),
            more: vec![("X-Account".into(), "a".into())],
            token_url: "https://login.example/token".into(),
            region: "eu-west-1".into(),
            service: "s3".into(),
            ..CredentialDraft::default()
        }
    }

    #[test]
    fn each_kind_is_what_the_api_takes() {
        for kind in KINDS {
            let draft = draft(Choice::Set(kind), "XVendor", "s3cret");
            assert_eq!(draft.errors(None, false), [], "{kind:?}");
            assert!(draft.value(None).is_some(), "{kind:?}");
            assert_eq!(Choice::of(draft.choice.name()), draft.choice);
        }
    }

    #[test]
    fn a_blank_secret_keeps_what_is_set_and_is_refused_where_nothing_is() {
        let blank = draft(Choice::Set(CredentialKind::Bearer), "", "");
        assert_eq!(blank.value(Some(CredentialKind::Bearer)), None);
        assert_eq!(blank.errors(None, false)[0].field, "credential.token");
        // Parity fault 11: changing the type dropped the credential; here it asks for the new one.
        assert_eq!(blank.errors(Some(CredentialKind::Basic), false)[0].field, "credential.token");
    }
}
