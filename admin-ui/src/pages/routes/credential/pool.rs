//! The fields of a pool: its credentials by name, each with a kind and fields of its own.

use super::draft::{Choice, MemberDraft};
use super::fields::{CredentialFieldsProps, fields_of};
use super::kind_name;
use crate::components::{Button, CheckField, SelectField, TextField, edit, error_of};
use crate::i18n::use_i18n;
use domain::credential::CredentialKind;
use domain::credential::pool::{LEAST, MOST};
use domain::error::FieldError;
use patternfly_yew::prelude::*;
use yew::prelude::*;

#[component]
pub fn PoolFields(props: &CredentialFieldsProps) -> Html {
    let i18n = use_i18n();
    let draft = &props.draft;
    let members = draft.members.iter().enumerate().map(|(i, member)| {
        let on_change = edit(draft, &props.on_change, move |draft, member: MemberDraft| {
            if let Some(place) = draft.members.get_mut(i) {
                *place = member;
            }
        });
        let on_remove = edit(draft, &props.on_change, move |draft, (): ()| {
            draft.members.remove(i);
        });
        let errors = within(&props.errors, i);
        let is_needed = draft.members.len() <= LEAST;
        html! { <MemberFields number={i + 1} member={member.clone()} {on_change} {on_remove} {errors} {is_needed} /> }
    });
    let on_add = edit(draft, &props.on_change, |draft, _: MouseEvent| draft.members.push(MemberDraft::new()));
    html! {
        <>
            <p class="tm-subtle">{ i18n.t("credential.pool-help") }</p>
            <CheckField
                label={i18n.t("credential.in-turn")}
                is_checked={draft.in_turn}
                on_change={edit(draft, &props.on_change, |draft, is_on| draft.in_turn = is_on)}
                help={i18n.t("credential.in-turn-help")}
            />
            { for members }
            <Button
                variant={ButtonVariant::Link}
                label={i18n.t("credential.add-member").to_string()}
                onclick={on_add}
                disabled={draft.members.len() >= MOST}
            />
        </>
    }
}

/// Returns the errors of one credential, without the path to it.
fn within(errors: &[FieldError], i: usize) -> Vec<FieldError> {
    let place = format!("members.{i}.");
    let own = |error: &FieldError| {
        let field = error.field.strip_prefix("credential.").unwrap_or(&error.field);
        Some(FieldError { field: field.strip_prefix(&place)?.to_owned(), ..error.clone() })
    };
    errors.iter().filter_map(own).collect()
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct MemberFieldsProps {
    number: usize,
    member: MemberDraft,
    on_change: Callback<MemberDraft>,
    on_remove: Callback<()>,
    errors: Vec<FieldError>,
    /// Whether the pool would be too small without it.
    is_needed: bool,
}

/// One credential of the pool.
#[component]
fn MemberFields(props: &MemberFieldsProps) -> Html {
    let i18n = use_i18n();
    let MemberFieldsProps { member, on_change, errors, .. } = props;
    let number = [("number", &*props.number.to_string())];
    let kinds = CredentialKind::ALL.iter().filter(|kind| **kind != CredentialKind::Pool);
    let kinds = kinds.map(|kind| (AttrValue::Static(kind.as_str()), kind_name(&i18n, *kind)));
    let keep = member.is_stored.then(|| (AttrValue::Static(Choice::Keep.name()), i18n.t("credential.keep")));
    let on_kind = edit(member, on_change, |member: &mut MemberDraft, text: String| {
        member.credential.choice = Choice::of(&text);
    });
    let on_remove = props.on_remove.reform(|_: MouseEvent| ());
    html! {
        <fieldset class="tm-fieldset">
            <legend class="pf-v6-c-form__label-text">{ i18n.fill("credential.member", &number) }</legend>
            <div class="tm-form-row">
                <TextField
                    label={i18n.t("credential.member-name")}
                    value={member.name.clone()}
                    on_change={edit(member, on_change, |member: &mut MemberDraft, text| member.name = text)}
                    error={error_of(errors, "name")}
                    is_disabled={member.is_stored}
                    is_required=true
                />
                <SelectField
                    label={i18n.t("credential.kind")}
                    options={keep.into_iter().chain(kinds).collect::<Vec<_>>()}
                    value={member.credential.choice.name()}
                    on_change={on_kind}
                    error={error_of(errors, "credential")}
                />
                <Button
                    variant={ButtonVariant::Link}
                    label={i18n.fill("credential.remove-member", &number).to_string()}
                    onclick={on_remove}
                    disabled={props.is_needed}
                />
            </div>
            if let Choice::Set(kind) = member.credential.choice {
                { fields_of(kind, &CredentialFieldsProps {
                    draft: member.credential.clone(),
                    on_change: edit(member, on_change, |member: &mut MemberDraft, credential| member.credential = credential),
                    present: None,
                    pool: None,
                    errors: errors.clone(),
                    is_first: false,
                }) }
            }
        </fieldset>
    }
}
