//! The dialogs that set and remove a price.

use super::Priced;
use crate::api::use_api;
use crate::components::{
    FormDialog, Submission, TextField, filled, in_millions, millionths, use_form, use_saved,
};
use crate::hooks::use_action;
use crate::i18n::use_i18n;
use contract::prices::{DeletePrice, PriceChanged, SetPrice, SetPriceRequest};
use domain::error::FieldError;
use yew::prelude::*;

/// The form as it is typed in; prices are dollars for a million tokens.
#[derive(Clone, Debug, Default, PartialEq)]
struct Draft {
    model: String,
    prompt: String,
    completion: String,
    cached: String,
    cache_write: String,
    source: String,
}

impl Draft {
    fn of(priced: &Priced) -> Self {
        let Some(known) = &priced.price else {
            return Self { model: priced.model.clone(), ..Self::default() };
        };
        let optional = |micros: Option<u64>| micros.map(in_millions).unwrap_or_default();
        Self {
            model: priced.model.clone(),
            prompt: in_millions(known.price.prompt),
            completion: in_millions(known.price.completion),
            cached: optional(known.price.cached),
            cache_write: optional(known.price.cache_write),
            source: known.source.clone(),
        }
    }

    fn check(&self) -> Result<(String, SetPriceRequest), Vec<FieldError>> {
        // Unparsable input becomes an out-of-range value, so validation reports it.
        let micros = |text: &str| millionths(text.trim()).unwrap_or(u64::MAX);
        let optional = |text: &str| filled(text).map(|text| micros(&text));
        let request = SetPriceRequest {
            prompt: micros(&self.prompt),
            completion: micros(&self.completion),
            cached: optional(&self.cached),
            cache_write: optional(&self.cache_write),
            source: self.source.trim().to_owned(),
        };
        let model = self.model.trim().to_owned();
        request.clone().validate(&model)?;
        Ok((model, request))
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct EditPriceProps {
    pub priced: Priced,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Sets a model's price from now on.
#[component]
pub fn EditPrice(props: &EditPriceProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let priced = props.priced.clone();
    let form = use_form(
        move || Draft::of(&priced),
        Draft::check,
        move |(model, request): (String, SetPriceRequest)| {
            let api = api.clone();
            async move { api.request::<SetPrice>().path(&[&model]).body(&request).send().await }
        },
        on_saved.reform(|changed: PriceChanged| changed.propagation),
    );
    let draft = form.draft();
    let is_new = props.priced.model.is_empty();
    let title = if is_new {
        i18n.t("prices.add")
    } else {
        i18n.fill("prices.edit-title", &[("model", &props.priced.model)])
    };
    html! {
        <FormDialog label={i18n.t("app.save")} {title} submission={form.submission.clone()} on_close={props.on_close.clone()}>
            if is_new {
                <TextField label={i18n.t("prices.model")} help={i18n.t("prices.model-help")} value={draft.model.clone()} on_change={form.set(|d, text| d.model = text)} error={form.error("model")} is_required=true is_first=true />
            }
            <p class="tm-subtle">{ i18n.t("prices.unit") }</p>
            <div class="tm-form-row">
                <TextField label={i18n.t("prices.prompt")} value={draft.prompt.clone()} on_change={form.set(|d, text| d.prompt = text)} error={form.error("prompt")} is_required=true is_first={!is_new} />
                <TextField label={i18n.t("prices.completion")} value={draft.completion.clone()} on_change={form.set(|d, text| d.completion = text)} error={form.error("completion")} is_required=true />
            </div>
            <div class="tm-form-row">
                <TextField label={i18n.t("prices.cached")} placeholder={i18n.t("prices.as-prompt")} value={draft.cached.clone()} on_change={form.set(|d, text| d.cached = text)} error={form.error("cached")} />
                <TextField label={i18n.t("prices.cache-write")} placeholder={i18n.t("prices.as-prompt")} value={draft.cache_write.clone()} on_change={form.set(|d, text| d.cache_write = text)} error={form.error("cache_write")} />
            </div>
            <TextField label={i18n.t("prices.source")} help={i18n.t("prices.source-help")} value={draft.source.clone()} on_change={form.set(|d, text| d.source = text)} error={form.error("source")} />
        </FormDialog>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DeletePriceDialogProps {
    pub model: String,
    pub on_close: Callback<()>,
    pub on_changed: Callback<()>,
}

/// Removes a price, after saying what follows.
#[component]
pub fn DeletePriceDialog(props: &DeletePriceDialogProps) -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let on_saved = use_saved(&props.on_changed, &props.on_close);
    let model = props.model.clone();
    let action = use_action(
        move |()| {
            let (api, model) = (api.clone(), model.clone());
            async move { api.request::<DeletePrice>().path(&[&model]).send().await }
        },
        on_saved.reform(|changed: PriceChanged| changed.propagation),
    );
    let title = i18n.fill("prices.delete-title", &[("model", &props.model)]);
    html! {
        <FormDialog label={i18n.t("prices.delete")} {title} submission={Submission::from(action)} on_close={props.on_close.clone()} is_danger=true>
            <p>{ i18n.t("prices.delete-advice") }</p>
        </FormDialog>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_typed_in_dollars_and_sent_in_their_millionths() {
        let mut draft = Draft {
            model: " gpt-5 ".into(),
            prompt: "2.5".into(),
            completion: "10".into(),
            cache_write: "0.000001".into(),
            ..Draft::default()
        };
        let (model, request) = draft.check().unwrap();
        assert_eq!(model, "gpt-5");
        assert_eq!((request.prompt, request.completion), (2_500_000, 10_000_000));
        assert_eq!((request.cached, request.cache_write), (None, Some(1)));
        draft.prompt = "much".into();
        let fields: Vec<String> = draft.check().unwrap_err().into_iter().map(|error| error.field).collect();
        assert_eq!(fields, ["prompt"]);
    }
}
