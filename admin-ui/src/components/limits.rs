//! Limits of a token or a team: typed in, and shown with how far they are used up.

use super::{SelectField, TextField, Time, error_of};
use crate::format;
use crate::i18n::{I18n, use_i18n};
use contract::limits::TokenLimits;
use domain::error::FieldError;
use domain::limit::ledger::{LimitKind, LimitUse};
use domain::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS, Limits};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use yew::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Count,
    /// Counted in millionths of it: dollars, or megabytes.
    Million,
}

/// A limit's name on the wire, its text, its unit.
type Field = (&'static str, fn(&I18n) -> AttrValue, Unit);

const FIELDS: [Field; 13] = [
    ("calls_per_second", |i18n| i18n.t("limit.calls-per-second"), Unit::Count),
    ("calls_per_minute", |i18n| i18n.t("limit.calls-per-minute"), Unit::Count),
    ("calls_per_hour", |i18n| i18n.t("limit.calls-per-hour"), Unit::Count),
    ("calls_per_day", |i18n| i18n.t("limit.calls-per-day"), Unit::Count),
    ("calls_per_month", |i18n| i18n.t("limit.calls-per-month"), Unit::Count),
    ("concurrent_calls", |i18n| i18n.t("limit.concurrent-calls"), Unit::Count),
    ("ai_tokens_per_day", |i18n| i18n.t("limit.ai-tokens-per-day"), Unit::Count),
    ("ai_tokens_per_month", |i18n| i18n.t("limit.ai-tokens-per-month"), Unit::Count),
    ("ai_tokens_per_call", |i18n| i18n.t("limit.ai-tokens-per-call"), Unit::Count),
    ("cost_micros_per_day", |i18n| i18n.t("limit.cost-per-day"), Unit::Million),
    ("cost_micros_per_month", |i18n| i18n.t("limit.cost-per-month"), Unit::Million),
    ("cost_micros_per_call", |i18n| i18n.t("limit.cost-per-call"), Unit::Million),
    ("body_bytes", |i18n| i18n.t("limit.body"), Unit::Million),
];
const ON_FAILURE: &str = "on_limit_failure";

/// What is typed in, by the limits' names; what is empty is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitsDraft(BTreeMap<&'static str, String>);

impl LimitsDraft {
    pub fn of(limits: &Limits) -> Self {
        let values = serde_json::to_value(limits).unwrap_or_default();
        let mut texts: BTreeMap<_, _> = FIELDS
            .into_iter()
            .filter_map(|(name, _, unit)| Some((name, text(values.get(name)?.as_u64()?, unit))))
            .collect();
        if let Some(choice) = values.get(ON_FAILURE).and_then(Value::as_str) {
            texts.insert(ON_FAILURE, choice.to_owned());
        }
        Self(texts)
    }

    /// What is no number is refused like one out of range.
    pub fn limits(&self) -> Limits {
        let mut values = Map::new();
        for (name, _, unit) in FIELDS {
            let typed = self.get(name).trim();
            if !typed.is_empty() {
                let most = if name == "concurrent_calls" { u64::from(u32::MAX) } else { u64::MAX };
                values
                    .insert(name.to_owned(), number(typed, unit).filter(|n| *n <= most).unwrap_or(0).into());
            }
        }
        if !self.get(ON_FAILURE).is_empty() {
            values.insert(ON_FAILURE.to_owned(), self.get(ON_FAILURE).into());
        }
        // Each name is a field and each value fits it; a test goes through all of them.
        serde_json::from_value(Value::Object(values)).unwrap_or_default()
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

fn text(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => value.to_string(),
        Unit::Million => {
            let (whole, rest) = (value / 1_000_000, value % 1_000_000);
            if rest == 0 {
                whole.to_string()
            } else {
                format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
            }
        }
    }
}

fn number(text: &str, unit: Unit) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    match unit {
        Unit::Count => text.parse().ok(),
        Unit::Million if rest.len() <= 6 => {
            let rest = format!("{rest:0<6}").parse::<u64>().ok()?;
            whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(rest)
        }
        Unit::Million => None,
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct LimitsFieldsProps {
    pub draft: LimitsDraft,
    pub on_change: Callback<LimitsDraft>,
    /// What counts where nothing is typed in.
    #[prop_or_default]
    pub defaults: Limits,
    pub help: AttrValue,
    pub errors: Vec<FieldError>,
}

/// Closed until something is set or wrong.
#[component]
pub fn LimitsFields(props: &LimitsFieldsProps) -> Html {
    let i18n = use_i18n();
    let was_set = *use_memo((), |()| !props.draft.0.is_empty());
    let is_wrong = props.errors.iter().any(|error| error.field.starts_with("limits"));
    let defaults = LimitsDraft::of(&props.defaults);
    let set = |name: &'static str| {
        let draft = props.draft.clone();
        props.on_change.reform(move |text: String| {
            let mut draft = draft.clone();
            if text.is_empty() {
                draft.0.remove(name);
            } else {
                draft.0.insert(name, text);
            }
            draft
        })
    };
    let fields = FIELDS.into_iter().map(|(name, label, unit)| {
        let error = error_of(&props.errors, &format!("limits.{name}"));
        // The domain counts in millionths; people do not.
        let error =
            error.map(|message| if unit == Unit::Million { i18n.t("limit.out-of-range") } else { message });
        let placeholder = match (defaults.get(name), name) {
            ("", "ai_tokens_per_call") => text(DEFAULT_CEILING_TOKENS, unit).into(),
            ("", "cost_micros_per_call") => text(DEFAULT_CEILING_MICROS, unit).into(),
            ("", _) => i18n.t("limit.none"),
            (value, _) => i18n.fill("limit.team-default", &[("value", value)]),
        };
        html! {
            <TextField
                label={label(&i18n)}
                value={props.draft.get(name).to_owned()}
                on_change={set(name)}
                {error}
                {placeholder}
            />
        }
    });
    let options = vec![
        (AttrValue::Static(""), i18n.t("limit.failure-default")),
        (AttrValue::Static("allow"), i18n.t("limit.failure-allow")),
        (AttrValue::Static("deny"), i18n.t("limit.failure-deny")),
    ];
    html! {
        <details class="tm-details" open={was_set || is_wrong}>
            <summary>{ i18n.t("limit.title") }</summary>
            <div class="tm-form">
                <p class="tm-subtle">{ &props.help }</p>
                <div class="tm-form-row">{ for fields }</div>
                <SelectField
                    label={i18n.t("limit.on-failure")}
                    {options}
                    value={props.draft.get(ON_FAILURE).to_owned()}
                    on_change={set(ON_FAILURE)}
                    help={i18n.t("limit.on-failure-help")}
                />
            </div>
        </details>
    }
}

/// A limit as it is read, in dollars or megabytes where it is counted in their millionths.
fn shown(i18n: &I18n, value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => format::number(i18n, value),
        Unit::Million => text(value, unit),
    }
}

/// One line for each limit.
pub fn limits_list(i18n: &I18n, limits: &Limits) -> Html {
    let values = serde_json::to_value(limits).unwrap_or_default();
    let lines = FIELDS.into_iter().filter_map(|(name, label, unit)| {
        let value = shown(i18n, values.get(name)?.as_u64()?, unit);
        Some(html! { <li>{ label(i18n) }{ ": " }<strong>{ value }</strong></li> })
    });
    html! { <ul class="tm-plain">{ for lines }</ul> }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct LimitUsesProps {
    pub limits: TokenLimits,
}

/// The limits in force; those that are counted as bars.
#[component]
pub fn LimitUses(props: &LimitUsesProps) -> Html {
    let i18n = use_i18n();
    let TokenLimits { limits, uses } = &props.limits;
    if limits.is_empty() {
        return html! { <p class="tm-subtle">{ i18n.t("limit.unlimited") }</p> };
    }
    let Some(uses) = uses else {
        return html! { <>{ limits_list(&i18n, limits) }<p class="tm-subtle">{ i18n.t("limit.uncounted") }</p></> };
    };
    let counted: Vec<&str> = uses.iter().map(|one| name_of(one.kind)).collect();
    let values = serde_json::to_value(limits).unwrap_or_default();
    let others: Map<String, Value> = match values {
        Value::Object(map) => map.into_iter().filter(|(name, _)| !counted.contains(&name.as_str())).collect(),
        _ => Map::new(),
    };
    let others: Limits = serde_json::from_value(Value::Object(others)).unwrap_or_default();
    html! {
        <>
            <div class="tm-form-row">{ for uses.iter().map(|one| bar(&i18n, one)) }</div>
            { limits_list(&i18n, &others) }
        </>
    }
}

/// The field of a kind.
fn name_of(kind: LimitKind) -> &'static str {
    FIELDS
        .iter()
        .map(|(name, ..)| *name)
        .find(|name| name.replace('_', "-") == kind.as_str())
        .unwrap_or_default()
}

fn bar(i18n: &I18n, one: &LimitUse) -> Html {
    let Some((_, label, unit)) = FIELDS.into_iter().find(|(name, ..)| *name == name_of(one.kind)) else {
        return html! {};
    };
    let label = label(i18n);
    let taken = one.limit - one.remaining();
    let [taken_text, limit_text] = [taken, one.limit].map(|value| shown(i18n, value, unit));
    html! {
        <div>
            <div>{ &label }{ ": " }<strong>{ i18n.fill("limit.used", &[("used", &taken_text), ("limit", &limit_text)]) }</strong></div>
            <meter aria-label={label} min="0" max={one.limit.to_string()} value={taken.to_string()} high={(one.limit / 5 * 4).to_string()} />
            if one.kind != LimitKind::ConcurrentCalls && taken > 0 {
                <div class="tm-subtle">{ i18n.t("limit.resets") }{ " " }<Time at={one.resets_at} is_relative=true /></div>
            }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &'static str, text: &str) -> Limits {
        LimitsDraft(BTreeMap::from([(name, text.to_owned())])).limits()
    }

    fn is_refused(limits: &Limits) -> bool {
        let mut errors = vec![];
        limits.check("limits.", &mut errors);
        !errors.is_empty()
    }

    #[test]
    fn each_limit_survives_the_way_there_and_back() {
        for (name, _, unit) in FIELDS {
            let limits = typed(name, "5");
            let values = serde_json::to_value(&limits).unwrap();
            assert_eq!(values[name], if unit == Unit::Count { 5 } else { 5_000_000 }, "{name}");
            assert_eq!(LimitsDraft::of(&limits).limits(), limits, "{name}");
            for wrong in ["x", "-1", "0", "1e3", "99999999999999999999", "18446744073709551615"] {
                assert!(is_refused(&typed(name, wrong)), "{name}: {wrong}");
            }
        }
        for choice in ["allow", "deny"] {
            assert_eq!(LimitsDraft::of(&typed(ON_FAILURE, choice)).get(ON_FAILURE), choice);
        }
    }

    #[test]
    fn dollars_have_six_places() {
        for (typed_text, micros) in [("5", 5_000_000), ("0.5", 500_000), ("1.25", 1_250_000), ("0.000001", 1)]
        {
            assert_eq!(typed("cost_micros_per_day", typed_text).cost_micros_per_day, Some(micros));
            assert_eq!(text(micros, Unit::Million), typed_text);
        }
        assert!(is_refused(&typed("cost_micros_per_day", "0.0000001")));
    }

    #[test]
    fn each_kind_that_is_counted_has_a_field() {
        use LimitKind as K;
        for kind in [
            K::CallsPerSecond,
            K::CallsPerMinute,
            K::CallsPerHour,
            K::CallsPerDay,
            K::CallsPerMonth,
            K::ConcurrentCalls,
            K::AiTokensPerDay,
            K::AiTokensPerMonth,
            K::CostMicrosPerDay,
            K::CostMicrosPerMonth,
        ] {
            assert!(!name_of(kind).is_empty(), "{kind:?}");
        }
    }
}
