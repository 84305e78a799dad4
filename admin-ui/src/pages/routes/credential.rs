//! The fields of a credential. Secrets are written and never read back: a field shows nothing of
//! what is set, and left blank it keeps it.

use crate::components::{SelectField, TextField, error_of};
use crate::i18n::use_i18n;
use domain::api::routes::check_credential;
use domain::credential::{Credential, CredentialKind};
use domain::error::FieldError;
use serde_json::{Value, json};
use yew::prelude::*;

/// What is typed in. It goes with the form that holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialDraft {
    pub choice: Choice,
    /// Name of the header or parameter, or of the user.
    pub name: String,
    pub prefix: String,
    pub secret: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// As it is: of a new route none, of another what is set.
    #[default]
    Keep,
    Clear,
    Set(CredentialKind),
}

const KINDS: [CredentialKind; 4] =
    [CredentialKind::Bearer, CredentialKind::Header, CredentialKind::Basic, CredentialKind::Query];

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
        Some(match kind {
            CredentialKind::Bearer => json!({"kind": "bearer", "token": secret}),
            CredentialKind::Header => {
                let prefix = (!self.prefix.is_empty()).then_some(&self.prefix);
                json!({"kind": "header", "name": name, "prefix": prefix, "value": secret})
            }
            CredentialKind::Basic => json!({"kind": "basic", "username": name, "password": secret}),
            CredentialKind::Query => json!({"kind": "query", "parameter": name, "value": secret}),
        })
    }

    /// What `domain` finds wrong with it, under names that begin with `credential.`.
    pub fn errors(&self, present: Option<CredentialKind>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(value) = self.value(present) {
            match serde_json::from_value::<Credential>(value) {
                Ok(credential) => check_credential("credential.", &credential, &mut errors),
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
    let fields = match props.draft.choice {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(choice: Choice, name: &str, secret: &str) -> CredentialDraft {
        CredentialDraft { choice, name: name.into(), prefix: String::new(), secret: secret.into() }
    }

    #[test]
    fn each_kind_is_what_the_api_takes() {
        for kind in KINDS {
            let draft = draft(Choice::Set(kind), "X-Vendor", "s3cret");
            assert_eq!(draft.errors(None), [], "{kind:?}");
            assert!(draft.value(None).is_some(), "{kind:?}");
            assert_eq!(Choice::of(draft.choice.name()), draft.choice);
        }
    }

    #[test]
    fn a_blank_secret_keeps_what_is_set_and_is_refused_where_nothing_is() {
        let blank = draft(Choice::Set(CredentialKind::Bearer), "", "");
        assert_eq!(blank.value(Some(CredentialKind::Bearer)), None);
        assert_eq!(blank.errors(None)[0].field, "credential.token");
        // Parity fault 11: changing the type dropped the credential; here it asks for the new one.
        assert_eq!(blank.errors(Some(CredentialKind::Basic))[0].field, "credential.token");
    }
}
