//! Settings that few routes have: an AI provider, a second upstream, further tries, maintenance.

use crate::components::{CheckField, SelectField, TextAreaField, TextField, error_of, error_within};
use crate::i18n::{I18n, use_i18n};
use contract::routes::RouteView;
use domain::collect;
use domain::error::FieldError;
use domain::id::RouteId;
use domain::problem::Problem;
use domain::stored::Unread;
use domain::upstream::settings::{AiProvider, AiSettings, Failover, Maintenance, Renames, RouteSettings};
use serde_json::Value;
use std::rc::Rc;
use yew::prelude::*;

/// The default time after which clients of a closed route should try again.
const DEFAULT_RETRY_S: &str = "600";

/// The settings as they are typed in.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a box of its own")]
pub struct SettingsDraft {
    pub provider: Option<AiProvider>,
    includes_usage: bool,
    /// The other route's id; empty is none.
    failover: String,
    any_method: bool,
    on_refusal: bool,
    /// Names of models at the other route, a pair a line.
    renames: String,
    /// Empty is never.
    waits_s: String,
    repeats_any: bool,
    keeps_errors: bool,
    takes_key: bool,
    is_closed: bool,
    notice: String,
    retry_s: String,
}

const PROVIDERS: [AiProvider; 4] =
    [AiProvider::Openai, AiProvider::Anthropic, AiProvider::Gemini, AiProvider::OpenaiCompatible];

fn wire_name(provider: AiProvider) -> &'static str {
    match provider {
        AiProvider::Openai => "openai",
        AiProvider::Anthropic => "anthropic",
        AiProvider::Gemini => "gemini",
        AiProvider::OpenaiCompatible => "openai-compatible",
    }
}

/// Returns a provider's name as its maker writes it.
pub fn provider_name(i18n: &I18n, provider: AiProvider) -> AttrValue {
    match provider {
        AiProvider::Openai => "OpenAI".into(),
        AiProvider::Anthropic => "Anthropic".into(),
        AiProvider::Gemini => "Gemini".into(),
        AiProvider::OpenaiCompatible => i18n.t("route.ai-compatible"),
    }
}

/// Writes names of models, a pair a line.
fn lines_of(models: &Renames) -> String {
    let line = |(model, there): (&String, &Value)| Some(format!("{model} = {}", there.as_str()?));
    models.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// Reads them. A line without a second name is refused by validation.
fn renames_of(lines: &str) -> Renames {
    let pair = |line: &str| {
        let (model, there) = line.split_once('=').unwrap_or((line, ""));
        (model.trim().to_owned(), there.trim().into())
    };
    collect::map(lines.lines().filter(|line| !line.trim().is_empty()).map(pair))
}

fn may_include_usage(provider: Option<AiProvider>) -> bool {
    matches!(provider, Some(AiProvider::Openai | AiProvider::OpenaiCompatible))
}

impl SettingsDraft {
    pub fn of(settings: &RouteSettings) -> Self {
        let (ai, failover, maintenance) = (&settings.ai, &settings.failover, &settings.maintenance);
        Self {
            provider: ai.as_ref().map(|ai| ai.provider),
            includes_usage: ai.as_ref().is_some_and(|ai| ai.include_usage),
            failover: failover.as_ref().map(|f| f.route_id.to_string()).unwrap_or_default(),
            any_method: failover.as_ref().is_some_and(|f| f.any_method),
            on_refusal: failover.as_ref().is_some_and(|f| f.on_refusal),
            renames: failover.as_ref().map(|f| lines_of(&f.models)).unwrap_or_default(),
            waits_s: match settings.retry_within_s {
                0 => String::new(),
                seconds => seconds.to_string(),
            },
            repeats_any: settings.retry_any_method,
            keeps_errors: settings.keep_errors,
            takes_key: settings.key_in_query,
            is_closed: maintenance.is_some(),
            notice: maintenance.as_ref().map(|m| m.message.clone()).unwrap_or_default(),
            retry_s: maintenance
                .as_ref()
                .map_or_else(|| DEFAULT_RETRY_S.to_owned(), |m| m.retry_after_s.to_string()),
        }
    }

    /// Whether anything is set beside the provider.
    pub fn has_more(&self) -> bool {
        Self { provider: None, ..self.clone() } != Self::of(&RouteSettings::default())
    }

    /// Everything that is set, in one line.
    pub fn text(&self, i18n: &I18n) -> String {
        let mut texts: Vec<AttrValue> = vec![];
        texts.extend(self.provider.map(|provider| provider_name(i18n, provider)));
        if self.includes_usage {
            texts.push(i18n.t("route.include-usage"));
        }
        if !self.failover.is_empty() {
            texts.push(format!("{}: {}", i18n.t("route.failover"), self.failover).into());
        }
        if self.any_method {
            texts.push(i18n.t("route.any-method"));
        }
        if self.on_refusal {
            texts.push(i18n.t("route.on-refusal"));
        }
        if !self.renames.is_empty() {
            texts.push(format!("{}: {}", i18n.t("route.renames"), self.renames.replace('\n', ", ")).into());
        }
        if !self.waits_s.is_empty() {
            texts.push(format!("{}: {}", i18n.t("route.retry"), self.waits_s).into());
        }
        if self.repeats_any {
            texts.push(i18n.t("route.retry-any"));
        }
        if self.keeps_errors {
            texts.push(i18n.t("route.keep-errors"));
        }
        if self.takes_key {
            texts.push(i18n.t("route.key-in-query"));
        }
        if self.is_closed {
            let (notice, retry_s) = (&self.notice, &self.retry_s);
            texts.push(format!("{}: {notice} ({retry_s} s)", i18n.t("route.maintenance")).into());
        }
        texts.join(", ")
    }

    /// Unparsable input becomes an out-of-range value, so validation reports it.
    pub fn settings(&self) -> RouteSettings {
        let include_usage = self.includes_usage && may_include_usage(self.provider);
        RouteSettings {
            ai: self.provider.map(|provider| AiSettings {
                provider,
                include_usage,
                unread: Unread::default(),
            }),
            failover: (!self.failover.is_empty()).then(|| Failover {
                route_id: RouteId::from(self.failover.as_str()),
                any_method: self.any_method,
                on_refusal: self.on_refusal,
                models: renames_of(&self.renames),
                unread: Unread::default(),
            }),
            maintenance: self.is_closed.then(|| Maintenance {
                message: self.notice.trim().to_owned(),
                retry_after_s: self.retry_s.trim().parse().unwrap_or(0),
                unread: Unread::default(),
            }),
            retry_within_s: match self.waits_s.trim() {
                "" => 0,
                seconds => seconds.parse().unwrap_or(u32::MAX),
            },
            retry_any_method: self.repeats_any,
            keep_errors: self.keeps_errors,
            key_in_query: self.takes_key,
            unread: Unread::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ProviderFieldProps {
    pub provider: Option<AiProvider>,
    pub on_change: Callback<Option<AiProvider>>,
    pub error: Option<Problem>,
}

/// The AI provider, without which neither tokens nor costs are counted.
#[component]
pub fn ProviderField(props: &ProviderFieldProps) -> Html {
    let i18n = use_i18n();
    let mut options = vec![(AttrValue::Static(""), i18n.t("route.ai-none"))];
    options.extend(PROVIDERS.map(|one| (AttrValue::Static(wire_name(one)), provider_name(&i18n, one))));
    let on_change =
        props.on_change.reform(|text: String| PROVIDERS.into_iter().find(|one| wire_name(*one) == text));
    html! {
        <SelectField
            label={i18n.t("route.ai")}
            {options}
            value={props.provider.map(wire_name).unwrap_or_default()}
            {on_change}
            help={i18n.t("route.ai-help")}
            error={props.error.clone()}
        />
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SettingsFieldsProps {
    pub draft: SettingsDraft,
    pub on_change: Callback<SettingsDraft>,
    /// The routes that may be the second upstream, and the route itself.
    pub routes: Rc<Vec<RouteView>>,
    #[prop_or_default]
    pub itself: Option<RouteId>,
    pub errors: Vec<FieldError>,
}

#[component]
pub fn SettingsFields(props: &SettingsFieldsProps) -> Html {
    let i18n = use_i18n();
    let draft = &props.draft;
    let set = |change: fn(&mut SettingsDraft, String)| {
        let draft = draft.clone();
        props.on_change.reform(move |text: String| {
            let mut draft = draft.clone();
            change(&mut draft, text);
            draft
        })
    };
    let switch = |change: fn(&mut SettingsDraft, bool)| {
        let draft = draft.clone();
        props.on_change.reform(move |is_on: bool| {
            let mut draft = draft.clone();
            change(&mut draft, is_on);
            draft
        })
    };
    let error = |name: &str| error_of(&props.errors, &format!("settings.{name}"));
    let mut others = vec![(AttrValue::Static(""), i18n.t("route.failover-none"))];
    others.extend(props.routes.iter().filter(|route| Some(&route.id) != props.itself.as_ref()).map(
        |route| (route.id.to_string().into(), format!("{} {}", route.name, route.path.as_str()).into()),
    ));
    html! {
        <>
            if may_include_usage(draft.provider) {
                <CheckField label={i18n.t("route.include-usage")} is_checked={draft.includes_usage} on_change={switch(|d, is_on| d.includes_usage = is_on)} help={i18n.t("route.include-usage-help")} />
            }
            <SelectField
                label={i18n.t("route.failover")}
                options={others}
                value={draft.failover.clone()}
                on_change={set(|d, text| d.failover = text)}
                help={i18n.t("route.failover-help")}
                error={error("failover.route_id")}
            />
            if !draft.failover.is_empty() {
                <CheckField label={i18n.t("route.any-method")} is_checked={draft.any_method} on_change={switch(|d, is_on| d.any_method = is_on)} help={i18n.t("route.any-method-help")} />
                <CheckField label={i18n.t("route.on-refusal")} is_checked={draft.on_refusal} on_change={switch(|d, is_on| d.on_refusal = is_on)} help={i18n.t("route.on-refusal-help")} />
                <TextAreaField label={i18n.t("route.renames")} value={draft.renames.clone()} on_change={set(|d, text| d.renames = text)} error={error_within(&props.errors, "settings.failover.models")} help={i18n.t("route.renames-help")} />
            }
            <TextField label={i18n.t("route.retry")} value={draft.waits_s.clone()} on_change={set(|d, text| d.waits_s = text)} error={error("retry_within_s")} help={i18n.t("route.retry-help")} />
            if !draft.waits_s.is_empty() {
                <CheckField label={i18n.t("route.retry-any")} is_checked={draft.repeats_any} on_change={switch(|d, is_on| d.repeats_any = is_on)} help={i18n.t("route.any-method-help")} />
            }
            <CheckField label={i18n.t("route.keep-errors")} is_checked={draft.keeps_errors} on_change={switch(|d, is_on| d.keeps_errors = is_on)} help={i18n.t("route.keep-errors-help")} />
            <CheckField label={i18n.t("route.key-in-query")} is_checked={draft.takes_key} on_change={switch(|d, is_on| d.takes_key = is_on)} help={i18n.t("route.key-in-query-help")} />
            <CheckField label={i18n.t("route.maintenance")} is_checked={draft.is_closed} on_change={switch(|d, is_on| d.is_closed = is_on)} help={i18n.t("route.maintenance-help")} />
            if draft.is_closed {
                <div class="tm-form-row">
                    <TextField label={i18n.t("route.notice")} value={draft.notice.clone()} on_change={set(|d, text| d.notice = text)} error={error("maintenance.message")} is_required=true />
                    <TextField label={i18n.t("route.retry-after")} value={draft.retry_s.clone()} on_change={set(|d, text| d.retry_s = text)} error={error("maintenance.retry_after_s")} is_required=true />
                </div>
            }
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_survive_the_way_there_and_back() {
        for settings in [
            json!({}),
            json!({"ai":{"provider":"openai","include_usage":true},"failover":{"route_id":"rte_2","any_method":true,"on_refusal":true,"models":{"gpt-4o":"our-4o","o3":"o3-eu"}},
                "retry_within_s":20,"retry_any_method":true,
                "maintenance":{"message":"Back at noon","retry_after_s":60},"keep_errors":true,"key_in_query":true}),
        ] {
            let settings: RouteSettings = serde_json::from_value(settings).unwrap();
            assert_eq!(SettingsDraft::of(&settings).settings(), settings);
        }
        for provider in PROVIDERS {
            assert_eq!(json!(provider), wire_name(provider));
        }
    }

    #[test]
    fn models_are_named_in_pairs_and_anything_else_is_refused() {
        let fields = |renames: &str, waits_s: &str| {
            let draft = SettingsDraft {
                failover: "rte_2".into(),
                renames: renames.into(),
                waits_s: waits_s.into(),
                ..SettingsDraft::default()
            };
            let mut errors = vec![];
            draft.settings().check(&mut errors);
            errors.into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(" gpt-4o=our-4o \n\n o3 = o3=eu\n", " 30 "), [""; 0]);
        assert_eq!(
            fields("gpt-4o\no3 =", "soon"),
            ["settings.failover.models.gpt-4o", "settings.failover.models.o3", "settings.retry_within_s"]
        );
    }

    #[test]
    fn a_setting_that_the_provider_lacks_is_not_sent() {
        let draft = SettingsDraft {
            provider: Some(AiProvider::Anthropic),
            includes_usage: true,
            ..SettingsDraft::default()
        };
        assert!(!draft.settings().ai.unwrap().include_usage);
    }
}
