//! Two people who change the same thing: their changes, field by field.

use super::Form;
use crate::api::CallError;
use crate::components::{CallErrorView, Notice};
use crate::hooks::{use_action, use_id};
use crate::i18n::{I18n, use_i18n};
use crate::state::toasts::Tone;
use std::future::Future;
use std::rc::Rc;
use yew::prelude::*;

/// A field of a draft, to compare two drafts and to take it from another.
pub struct DraftField<D: 'static> {
    pub label: fn(&I18n) -> AttrValue,
    pub text: fn(&I18n, &D) -> String,
    pub take: fn(&mut D, &D),
}

/// Both versions of the fields that somebody else has changed.
#[derive(Clone, PartialEq)]
struct Clash<D> {
    mine: Rc<D>,
    theirs: Rc<D>,
    /// Positions in the list of fields.
    fields: Vec<usize>,
}

/// Returns the draft with their changes taken in wherever `mine` changes nothing, and the fields that they changed.
fn merge<D: Clone>(
    i18n: &I18n,
    fields: &[DraftField<D>],
    before: &D,
    theirs: &D,
    mine: &D,
) -> (D, Vec<usize>) {
    let (mut merged, mut changed) = (mine.clone(), vec![]);
    for (i, field) in fields.iter().enumerate() {
        let [before, theirs_text, mine] = [before, theirs, mine].map(|draft| (field.text)(i18n, draft));
        if theirs_text == before || theirs_text == mine {
            continue;
        }
        if mine == before {
            (field.take)(&mut merged, theirs);
        }
        changed.push(i);
    }
    (merged, changed)
}

/// Resolves a conflict: if saving finds a newer version, `reread` fetches it, the form continues from there, and the
/// person chooses between both versions of each field that differs. `opened` is the version that the form changes.
#[hook]
pub fn use_conflict<D, T, F, Fut>(
    form: &mut Form<D>,
    opened: &UseStateHandle<T>,
    draft_of: fn(&T) -> D,
    fields: &'static [DraftField<D>],
    reread: F,
    on_abandon: &Callback<()>,
) where
    D: Clone + PartialEq + 'static,
    T: Clone + 'static,
    F: Fn() -> Fut + 'static,
    Fut: Future<Output = Result<T, CallError>> + 'static,
{
    let i18n = use_i18n();
    let found = use_state_eq(|| None::<Clash<D>>);
    let on_read = {
        let (i18n, opened, found) = (i18n.clone(), opened.clone(), found.setter());
        let (latest, draft) = (Rc::clone(&form.latest), form.draft.setter());
        Callback::from(move |version: T| {
            let (theirs, mine) = (draft_of(&version), latest.borrow().clone());
            let (merged, fields) = merge(&i18n, fields, &draft_of(&opened), &theirs, &mine);
            latest.replace(merged.clone());
            draft.set(merged);
            opened.set(version);
            found.set(Some(Clash { mine: Rc::new(mine), theirs: Rc::new(theirs), fields }));
        })
    };
    let action = use_action(move |()| reread(), on_read);
    {
        let on_run = action.on_run.clone();
        use_effect_with(form.submission.failure.clone(), move |failure| {
            if failure.as_ref().is_some_and(|error| error.status() == Some(412)) {
                on_run.emit(());
            }
        });
    }
    form.submission.is_merging = true;
    form.submission.conflict = match (action.error, (*found).clone()) {
        (Some(error), _) => Some(html! { <CallErrorView {error} /> }),
        (None, Some(clash)) => Some(view(&i18n, form, fields, &clash)),
        (None, None) => None,
    };
    form.submission.on_abandon = found.as_ref().map(|_| on_abandon.clone());
}

fn view<D: Clone + PartialEq>(
    i18n: &I18n,
    form: &Form<D>,
    fields: &'static [DraftField<D>],
    clash: &Clash<D>,
) -> Html {
    let rows = clash.fields.iter().filter_map(|i| fields.get(*i)).map(|field| {
        let text = |draft: &D| (field.text)(i18n, draft);
        let take = |from: &Rc<D>| {
            let (take, from) = (field.take, Rc::clone(from));
            let (latest, setter) = (Rc::clone(&form.latest), form.draft.setter());
            Callback::from(move |_: Event| {
                take(&mut latest.borrow_mut(), &from);
                setter.set(latest.borrow().clone());
            })
        };
        let (theirs, now) = (text(&clash.theirs), text(form.draft()));
        let is_theirs = theirs == now;
        html! {
            <Versions
                label={(field.label)(i18n)}
                mine={if is_theirs { text(&clash.mine) } else { now }}
                {theirs}
                {is_theirs}
                on_theirs={take(&clash.theirs)}
                on_mine={take(&clash.mine)}
            />
        }
    });
    html! {
        <Notice tone={Tone::Warning} title={i18n.t("error.overtaken")} role="alert">
            <p>{ i18n.t("error.overtaken-advice") }</p>
            { for rows }
        </Notice>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct VersionsProps {
    label: AttrValue,
    theirs: String,
    mine: String,
    is_theirs: bool,
    on_theirs: Callback<Event>,
    on_mine: Callback<Event>,
}

/// The choice between two versions of a field.
#[component]
fn Versions(props: &VersionsProps) -> Html {
    let i18n = use_i18n();
    let name = use_id();
    let choice = |label: AttrValue, text: &str, is_chosen: bool, onchange: &Callback<Event>| {
        html! {
            <label class="tm-version">
                <input type="radio" name={name.clone()} checked={is_chosen} onchange={onchange.clone()} />
                <span>{ label }{ " " }<span class="tm-address">{ if text.is_empty() { "–" } else { text } }</span></span>
            </label>
        }
    };
    html! {
        <fieldset class="tm-versions">
            <legend class="tm-heading">{ &props.label }</legend>
            { choice(i18n.t("conflict.theirs"), &props.theirs, props.is_theirs, &props.on_theirs) }
            { choice(i18n.t("conflict.mine"), &props.mine, !props.is_theirs, &props.on_mine) }
        </fieldset>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::preferences::Language;

    type Draft = [&'static str; 3];

    const FIELDS: &[DraftField<Draft>] = &[
        DraftField { label: |_| "a".into(), text: |_, d| d[0].to_owned(), take: |d, from| d[0] = from[0] },
        DraftField { label: |_| "b".into(), text: |_, d| d[1].to_owned(), take: |d, from| d[1] = from[1] },
        DraftField { label: |_| "c".into(), text: |_, d| d[2].to_owned(), take: |d, from| d[2] = from[2] },
    ];

    #[test]
    fn their_change_is_taken_where_i_changed_nothing_and_mine_stays_where_i_did() {
        let i18n = I18n::new(Language::English);
        let merged = |theirs, mine| merge(&i18n, FIELDS, &["1", "2", "3"], &theirs, &mine);
        assert_eq!(merged(["1", "x", "3"], ["1", "2", "y"]), (["1", "x", "y"], vec![1]));
        assert_eq!(merged(["x", "2", "3"], ["y", "2", "3"]), (["y", "2", "3"], vec![0]));
        assert_eq!(
            merged(["x", "2", "3"], ["x", "2", "3"]),
            (["x", "2", "3"], vec![]),
            "both made the same change"
        );
    }
}
