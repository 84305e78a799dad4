//! Limits of a token or a team: the form, and their use.

use super::{SelectField, TextAreaField, TextField, error_of, error_within};
use crate::format;
use crate::i18n::{I18n, use_i18n};
use contract::limits::TokenLimits;
use domain::error::FieldError;
use domain::limit::ledger::LimitUse;
use domain::limit::{LimitKind, Limits, Measure, OnLimitFailure};
use domain::problem::Invalid;
use std::collections::BTreeMap;
use yew::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Count,
    /// Dollars or megabytes, which the domain counts in millionths.
    Million,
}

fn unit(kind: LimitKind) -> Unit {
    match kind.measure() {
        Measure::CostMicros(_) | Measure::CostMicrosPerCall | Measure::BodyBytes => Unit::Million,
        Measure::Rate(_)
        | Measure::Calls(_)
        | Measure::ConcurrentCalls
        | Measure::AiTokenRate(_)
        | Measure::AiTokens(_)
        | Measure::AiTokensPerCall => Unit::Count,
    }
}

/// Returns the name of a limit.
/// Returns the label of a limit by its name on the wire; a limit that is not known is shown as it is.
pub fn name(i18n: &I18n, name: &str) -> AttrValue {
    let kind = LimitKind::ALL.iter().find(|kind| kind.as_str() == name);
    kind.map_or_else(|| name.to_owned().into(), |kind| label(i18n, *kind))
}

pub fn label(i18n: &I18n, kind: LimitKind) -> AttrValue {
    match kind {
        LimitKind::CallsPerSecond => i18n.t("limit.calls-per-second"),
        LimitKind::CallsPerMinute => i18n.t("limit.calls-per-minute"),
        LimitKind::CallsPerHour => i18n.t("limit.calls-per-hour"),
        LimitKind::CallsPerDay => i18n.t("limit.calls-per-day"),
        LimitKind::CallsPerMonth => i18n.t("limit.calls-per-month"),
        LimitKind::ConcurrentCalls => i18n.t("limit.concurrent-calls"),
        LimitKind::AiTokensPerMinute => i18n.t("limit.ai-tokens-per-minute"),
        LimitKind::AiTokensPerWeek => i18n.t("limit.ai-tokens-per-week"),
        LimitKind::AiTokensPerDay => i18n.t("limit.ai-tokens-per-day"),
        LimitKind::AiTokensPerMonth => i18n.t("limit.ai-tokens-per-month"),
        LimitKind::AiTokensPerCall => i18n.t("limit.ai-tokens-per-call"),
        LimitKind::CostMicrosPerDay => i18n.t("limit.cost-per-day"),
        LimitKind::CostMicrosPerWeek => i18n.t("limit.cost-per-week"),
        LimitKind::CostMicrosPerMonth => i18n.t("limit.cost-per-month"),
        LimitKind::CostMicrosPerCall => i18n.t("limit.cost-per-call"),
        LimitKind::BodyBytes => i18n.t("limit.body"),
    }
}

/// Limits as they are typed in; an empty text is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitsDraft {
    texts: BTreeMap<LimitKind, String>,
    on_failure: Option<OnLimitFailure>,
    /// One a line.
    models: String,
}

impl LimitsDraft {
    pub fn of(limits: &Limits) -> Self {
        let texts = limits.iter().map(|(kind, value)| (kind, text(value, unit(kind)))).collect();
        Self { texts, on_failure: limits.on_limit_failure, models: limits.models.join("\n") }
    }

    /// Unparsable input becomes an out-of-range value, so validation reports it.
    pub fn limits(&self) -> Limits {
        let models = self.models.lines().map(str::trim).filter(|model| !model.is_empty());
        let models = models.map(str::to_owned).collect();
        let mut limits = Limits { on_limit_failure: self.on_failure, models, ..Limits::default() };
        for (kind, typed) in &self.texts {
            limits.set(*kind, Some(number(typed.trim(), unit(*kind)).unwrap_or(0)));
        }
        limits
    }

    /// Every limit that is set, in one line.
    pub fn text(&self, i18n: &I18n) -> String {
        let colon = i18n.t("app.colon");
        let mut texts: Vec<String> =
            self.texts.iter().map(|(kind, text)| format!("{}{colon}{text}", label(i18n, *kind))).collect();
        match self.on_failure {
            None => {}
            Some(OnLimitFailure::Allow) => texts.push(i18n.t("limit.failure-allow").to_string()),
            Some(OnLimitFailure::Deny) => texts.push(i18n.t("limit.failure-deny").to_string()),
        }
        texts.extend(models_text(i18n, &self.limits().models));
        texts.join(", ")
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn get(&self, kind: LimitKind) -> &str {
        self.texts.get(&kind).map_or("", String::as_str)
    }

    fn set(&mut self, kind: LimitKind, text: String) {
        if text.trim().is_empty() {
            self.texts.remove(&kind);
        } else {
            self.texts.insert(kind, text);
        }
    }
}

fn models_text(i18n: &I18n, models: &[String]) -> Option<String> {
    (!models.is_empty())
        .then(|| format!("{}{}{}", i18n.t("limit.models"), i18n.t("app.colon"), models.join(", ")))
}

fn text(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => value.to_string(),
        Unit::Million => in_millions(value),
    }
}

/// Writes millionths, such as micro-dollars, as a number that [`millionths`] reads.
pub fn in_millions(value: u64) -> String {
    let (whole, rest) = (value / 1_000_000, value % 1_000_000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:06}").trim_end_matches('0').to_owned() }
}

/// Reads a number with at most six decimal places as millionths.
pub fn millionths(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let rest = format!("{rest:0<6}").parse::<u64>().ok().filter(|_| rest.len() <= 6)?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(rest)
}

fn number(text: &str, unit: Unit) -> Option<u64> {
    match unit {
        Unit::Count => text.parse().ok(),
        Unit::Million => millionths(text),
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct LimitsFieldsProps {
    pub draft: LimitsDraft,
    pub on_change: Callback<LimitsDraft>,
    /// The limits that apply to empty fields.
    #[prop_or_default]
    pub defaults: Limits,
    pub help: AttrValue,
    pub errors: Vec<FieldError>,
    /// Whether it is the budget that a team's tokens use together.
    #[prop_or_default]
    pub is_budget: bool,
}

/// The fields of every limit. They are folded if none is set; the form unfolds them if one is refused.
#[component]
pub fn LimitsFields(props: &LimitsFieldsProps) -> Html {
    let i18n = use_i18n();
    let was_set = *use_memo((), |()| !props.draft.is_empty());
    let (prefix, title) =
        if props.is_budget { ("budget", "limit.budget") } else { ("limits", "limit.title") };
    let defaults = LimitsDraft::of(&props.defaults);
    let on_type = |kind: LimitKind| {
        let draft = props.draft.clone();
        props.on_change.reform(move |text: String| {
            let mut draft = draft.clone();
            draft.set(kind, text);
            draft
        })
    };
    let kinds = LimitKind::ALL.iter().filter(|kind| !props.is_budget || kind.measure().is_budget());
    let fields = kinds.map(|kind| {
        let unit = unit(*kind);
        let error = error_of(&props.errors, &format!("{prefix}.{}", kind.field()));
        // The domain counts in millionths; people do not.
        let error =
            error.map(|problem| if unit == Unit::Million { Invalid::OutOfRange.into() } else { problem });
        let placeholder = match (defaults.get(*kind), kind.measure().ceiling()) {
            ("", Some(ceiling)) => text(ceiling, unit).into(),
            ("", None) => i18n.t("limit.none"),
            (value, _) => i18n.fill("limit.team-default", &[("value", value)]),
        };
        html! {
            <TextField
                label={label(&i18n, *kind)}
                value={props.draft.get(*kind).to_owned()}
                on_change={on_type(*kind)}
                {error}
                {placeholder}
            />
        }
    });
    html! {
        <details class="tm-details" open={was_set}>
            <summary>{ i18n.t(title) }</summary>
            <div class="tm-form">
                <p class="tm-subtle">{ &props.help }</p>
                <div class="tm-form-row">{ for fields }</div>
                if !props.is_budget {
                    { rules(&i18n, props) }
                }
            </div>
        </details>
    }
}

/// The models that may be called, and the fate of calls that cannot be counted.
fn rules(i18n: &I18n, props: &LimitsFieldsProps) -> Html {
    let options = vec![
        (AttrValue::Static(""), i18n.t("limit.failure-default")),
        (AttrValue::Static("allow"), i18n.t("limit.failure-allow")),
        (AttrValue::Static("deny"), i18n.t("limit.failure-deny")),
    ];
    let chosen = match props.draft.on_failure {
        None => "",
        Some(OnLimitFailure::Allow) => "allow",
        Some(OnLimitFailure::Deny) => "deny",
    };
    let on_choose = {
        let draft = props.draft.clone();
        props.on_change.reform(move |choice: String| LimitsDraft {
            on_failure: match choice.as_str() {
                "allow" => Some(OnLimitFailure::Allow),
                "deny" => Some(OnLimitFailure::Deny),
                _ => None,
            },
            ..draft.clone()
        })
    };
    let on_models = {
        let draft = props.draft.clone();
        props.on_change.reform(move |models: String| LimitsDraft { models, ..draft.clone() })
    };
    html! {
        <>
            <TextAreaField
                label={i18n.t("limit.models")}
                value={props.draft.models.clone()}
                on_change={on_models}
                error={error_within(&props.errors, "limits.models")}
                placeholder={props.defaults.models.join("\n")}
                help={i18n.t("limit.models-help")}
            />
            <SelectField
                label={i18n.t("limit.on-failure")}
                {options}
                value={chosen}
                on_change={on_choose}
                help={i18n.t("limit.on-failure-help")}
            />
        </>
    }
}

/// Writes a limit for people: in dollars or megabytes if it is counted in their millionths.
pub fn shown(i18n: &I18n, value: u64, kind: LimitKind) -> String {
    match kind.measure() {
        Measure::CostMicros(_) | Measure::CostMicrosPerCall => format::dollars(i18n, value),
        Measure::BodyBytes => format!("{} MB", text(value, Unit::Million)),
        _ => format::number(i18n, value),
    }
}

/// One line for each limit.
pub fn limits_list(i18n: &I18n, limits: &Limits) -> Html {
    let lines = limits.iter().map(|(kind, value)| {
        html! { <li>{ label(i18n, kind) }{ i18n.t("app.colon") }<strong>{ shown(i18n, value, kind) }</strong></li> }
    });
    let models = models_text(i18n, &limits.models).map(|text| html! { <li>{ text }</li> });
    html! { <ul class="tm-plain">{ for lines }{ for models }</ul> }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct LimitUsesProps {
    pub limits: TokenLimits,
}

/// The limits in force. Those that are counted have a bar.
#[component]
pub fn LimitUses(props: &LimitUsesProps) -> Html {
    let i18n = use_i18n();
    let TokenLimits { limits, uses, team_budget, team_uses } = &props.limits;
    html! {
        <>
            if limits.is_empty() {
                <p class="tm-subtle">{ i18n.t("limit.unlimited") }</p>
            } else {
                { standing(&i18n, limits, uses.as_deref()) }
            }
            if !team_budget.is_empty() {
                <h3>{ i18n.t("limit.budget") }</h3>
                { standing(&i18n, team_budget, team_uses.as_deref()) }
            }
        </>
    }
}

fn standing(i18n: &I18n, limits: &Limits, uses: Option<&[LimitUse]>) -> Html {
    let Some(uses) = uses else {
        return html! { <>{ limits_list(i18n, limits) }<p class="tm-subtle">{ i18n.t("limit.uncounted") }</p></> };
    };
    let mut others = limits.clone();
    for one in uses {
        others.set(one.kind, None);
    }
    html! {
        <>
            <div class="tm-form-row">{ for uses.iter().map(|one| bar(i18n, one)) }</div>
            { limits_list(i18n, &others) }
        </>
    }
}

fn bar(i18n: &I18n, one: &LimitUse) -> Html {
    let label = label(i18n, one.kind);
    // More than the limit, if calls cost more than was reserved for them.
    let taken = one.used + one.reserved;
    let [taken_text, limit_text] = [taken, one.limit].map(|value| shown(i18n, value, one.kind));
    let share = format::share(i18n, taken, one.limit);
    html! {
        <div>
            <div>{ &label }{ i18n.t("app.colon") }<strong>{ i18n.fill("limit.used", &[("used", &taken_text), ("limit", &limit_text), ("share", &share)]) }</strong></div>
            <meter aria-label={label} min="0" max={one.limit.to_string()} value={taken.to_string()} high={(one.limit / 5 * 4).to_string()} optimum="0" />
            if one.kind != LimitKind::ConcurrentCalls && taken > 0 {
                <div class="tm-subtle" title={format::date_time_exact(i18n, one.resets_at)}>
                    { i18n.fill("limit.resets", &[("when", &format::relative(i18n, one.resets_at))]) }
                </div>
            }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(kind: LimitKind, text: &str) -> Limits {
        let mut draft = LimitsDraft::default();
        draft.set(kind, text.to_owned());
        draft.limits()
    }

    fn is_refused(limits: &Limits) -> bool {
        let mut errors = vec![];
        limits.check("limits.", &mut errors);
        !errors.is_empty()
    }

    #[test]
    fn each_limit_survives_the_way_there_and_back() {
        for kind in LimitKind::ALL {
            let limits = typed(*kind, "5");
            let wanted = if unit(*kind) == Unit::Count { 5 } else { 5_000_000 };
            assert_eq!(limits.get(*kind), Some(wanted), "{kind:?}");
            assert_eq!(LimitsDraft::of(&limits).limits(), limits, "{kind:?}");
            for wrong in ["x", "-1", "0", "1e3", "99999999999999999999", "18446744073709551615"] {
                assert!(is_refused(&typed(*kind, wrong)), "{kind:?}: {wrong}");
            }
        }
        for choice in [OnLimitFailure::Allow, OnLimitFailure::Deny] {
            let limits = Limits { on_limit_failure: Some(choice), ..Limits::default() };
            assert_eq!(LimitsDraft::of(&limits).limits(), limits);
        }
        let limits = Limits { models: vec!["gpt-4o*".to_owned(), "o3".to_owned()], ..Limits::default() };
        assert_eq!(LimitsDraft::of(&limits).limits(), limits);
    }

    #[test]
    fn dollars_have_six_places() {
        let kind = LimitKind::CostMicrosPerDay;
        for (typed_text, micros) in [("5", 5_000_000), ("0.5", 500_000), ("1.25", 1_250_000), ("0.000001", 1)]
        {
            assert_eq!(typed(kind, typed_text).cost_micros_per_day, Some(micros));
            assert_eq!(text(micros, Unit::Million), typed_text);
        }
        assert!(is_refused(&typed(kind, "0.0000001")));
    }
}
