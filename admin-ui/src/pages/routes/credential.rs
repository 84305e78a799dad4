//! The credential of a route: the choice of a kind, and its fields. A field never shows the current value, and
//! keeps it if left blank.

mod draft;
mod fields;
mod pool;

pub use draft::{Choice, CredentialDraft};

use crate::components::{SelectField, edit, error_of};
use crate::i18n::{I18n, use_i18n};
use domain::credential::CredentialKind;
use fields::{CredentialFieldsProps, fields_of};
use pool::PoolFields;
use yew::prelude::*;

/// A kind in the reader's language.
pub fn kind_name(i18n: &I18n, kind: CredentialKind) -> AttrValue {
    match kind {
        CredentialKind::Bearer => i18n.t("credential.bearer"),
        CredentialKind::Header => i18n.t("credential.header"),
        CredentialKind::Basic => i18n.t("credential.basic"),
        CredentialKind::Query => i18n.t("credential.query"),
        CredentialKind::Headers => i18n.t("credential.headers"),
        CredentialKind::Oauth2ClientCredentials => i18n.t("credential.oauth2"),
        CredentialKind::GoogleServiceAccount => i18n.t("credential.google"),
        CredentialKind::AwsSigv4 => i18n.t("credential.aws"),
        CredentialKind::Pool => i18n.t("credential.pool"),
    }
}

/// Chooses a kind, and shows its fields.
#[component]
pub fn CredentialFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let is_set = props.present.is_some();
    let pool = props.pool.clone();
    let keep = if is_set { i18n.t("credential.keep") } else { i18n.t("credential.none") };
    let mut options = vec![(Choice::Keep, keep)];
    options.extend(CredentialKind::ALL.iter().map(|kind| (Choice::Set(*kind), kind_name(&i18n, *kind))));
    if is_set {
        options.push((Choice::Clear, i18n.t("credential.clear")));
    }
    let options: Vec<_> =
        options.into_iter().map(|(choice, text)| (AttrValue::Static(choice.name()), text)).collect();
    html! {
        <fieldset class="tm-fieldset">
            <legend class="pf-v6-c-form__label-text">{ i18n.t("route.credential") }</legend>
            <SelectField
                label={i18n.t("credential.kind")}
                {options}
                value={props.draft.choice.name()}
                on_change={edit(&props.draft, &props.on_change, move |draft, text: String| draft.choose(Choice::of(&text), pool.as_ref()))}
                error={error_of(&props.errors, "credential.kind")}
            />
            { match props.draft.choice {
                Choice::Keep => html! {},
                Choice::Clear => html! { <p class="tm-danger">{ i18n.t("credential.clear-advice") }</p> },
                Choice::Set(CredentialKind::Pool) => html! { <PoolFields ..props.clone() /> },
                Choice::Set(kind) => fields_of(kind, props),
            } }
        </fieldset>
    }
}
