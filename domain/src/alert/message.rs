//! The text of an alert in the channel's language, and the page of the UI that it leads to.

use super::channel::Language;
use super::event::{Alert, Event};
use super::fold::MANY;
use crate::limit::{LimitKind, Measure, Period};
use crate::time::{MINUTE_MS, UnixMs, to_rfc3339};
use serde_json::{Number, Value};

/// The longest text, in characters. Each receiver takes more.
const MAX_TEXT: usize = 1_500;
/// The age from which a text says when its alert happened: after a receiver's outage, it is not news.
const LATE_MS: i64 = 10 * MINUTE_MS;

/// An alert as a receiver gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// The number of further alerts that it stands for.
    pub more: u32,
    /// A sentence or two.
    pub text: String,
    /// The page to look at; `None` if the UI's address is not known.
    pub link: Option<String>,
    /// The name of the link.
    pub link_name: &'static str,
}

impl<'a> Message<'a> {
    /// Writes the message that is sent at `now`. `ui` is the origin of the UI; `subject` is [`MANY`] if it stands for
    /// several subjects.
    pub fn new(
        alert: &'a Alert,
        subject: &str,
        more: u32,
        language: Language,
        ui: Option<&str>,
        now: UnixMs,
    ) -> Self {
        let mut text = sentence(alert, language);
        if now.saturating_sub(alert.at) > LATE_MS
            && let Some(at) = day_and_time(alert.at)
        {
            text.push_str(&fill(pick(language, " It happened at {at}.", "發生時間：{at}。"), |_| {
                at.clone()
            }));
        }
        if more > 0 {
            text.push_str(&fill(pick(language, " And {more} more.", "另有 {more} 則。"), |_| {
                more.to_string()
            }));
        }
        Self {
            alert,
            more,
            text: text.chars().take(MAX_TEXT).collect(),
            link: ui.map(|ui| format!("{}{}", ui.trim_end_matches('/'), path(alert, subject == MANY))),
            link_name: pick(language, "Open in Token Manager", "在 Token Manager 中開啟"),
        }
    }
}

fn pick<T>(language: Language, english: T, chinese: T) -> T {
    match language {
        Language::English => english,
        Language::Chinese => chinese,
    }
}

/// Fills the places of a text, each a name in braces.
fn fill(text: &str, value: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(&value(name));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn sentence(alert: &Alert, language: Language) -> String {
    let number = |name: &str| number(&alert.details, name);
    let is_cost = alert.details.get("is_cost").and_then(Value::as_bool) == Some(true);
    let text = match alert.event {
        Event::TokenSpike if is_cost => pick(
            language,
            "Token “{name}” has spent ${value_micros} this hour; ${usual_micros} is usual.",
            "權杖「{name}」這一小時已花費 US${value_micros}，平常為 US${usual_micros}。",
        ),
        _ => template(alert, language),
    };
    fill(text, |name| match name {
        "limit_name" => limit_name(&alert.details, language),
        "used_of" => used_of(&alert.details),
        "value_micros" => dollars(number("value")),
        "usual_micros" => dollars(number("usual")),
        "minutes" => (number("waited_ms") / MINUTE_MS.unsigned_abs()).to_string(),
        "expires_at" => {
            alert.details.get(name).and_then(Value::as_i64).and_then(day_and_time).unwrap_or_default()
        }
        "subject" => alert.subject.clone(),
        _ => match alert.details.get(name) {
            Some(Value::String(text)) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            Some(Value::Number(number)) => whole(number),
            _ => alert.subject.clone(),
        },
    })
}

fn template(alert: &Alert, language: Language) -> &'static str {
    let is_one = |name: &str| number(&alert.details, name) == 1;
    let (english, chinese) = match alert.event {
        Event::Budget => (
            "“{name}” has used {step}% of its {limit_name}: {used_of}.",
            "「{name}」已使用{limit_name}的 {step}%：{used_of}。",
        ),
        Event::TokenEnds => (
            "Token “{name}” expires within {step} d: {expires_at}.",
            "權杖「{name}」將在 {step} 天內到期：{expires_at}。",
        ),
        Event::RouteFailing => (
            "{path}: {failed} of {calls} calls failed in the last hour, over 20% for ten minutes.",
            "{path}：過去一小時 {calls} 次呼叫中有 {failed} 次失敗，失敗率已連續十分鐘超過 20%。",
        ),
        Event::RouteRecovered => ("{path} works again.", "{path} 已恢復正常。"),
        Event::TokenSpike => (
            if is_one("usual") {
                "Token “{name}” has made {value} calls this hour; {usual} is usual."
            } else {
                "Token “{name}” has made {value} calls this hour; {usual} are usual."
            },
            "權杖「{name}」這一小時已呼叫 {value} 次，平常為 {usual} 次。",
        ),
        Event::TokenElsewhere => (
            "Token “{name}” was used from {place}, for the first time in 30 days.",
            "權杖「{name}」從 {place} 使用，為 30 天內首次。",
        ),
        Event::PublicationLate => (
            if is_one("pending") {
                "{pending} change has waited for publication for {minutes} min."
            } else {
                "{pending} changes have waited for publication, the oldest for {minutes} min."
            },
            "有 {pending} 項變更等待發布，最久已等 {minutes} 分鐘。",
        ),
        Event::CanaryLate => canary(&alert.subject),
        Event::DeadLetters => (
            if is_one("messages") {
                "{messages} usage message could not be read."
            } else {
                "{messages} usage messages could not be read."
            },
            "有 {messages} 則用量訊息無法讀取。",
        ),
        Event::DatabaseFull => {
            ("The database {subject} is over {step}% full.", "資料庫 {subject} 已使用超過 {step}%。")
        }
        Event::AdminAdded => {
            ("{name} is now ADMIN of the team {team}.", "{name} 成為團隊 {team} 的管理員（ADMIN）。")
        }
        Event::TokenUnattended => (
            "{person} made the token “{name}” and may no longer manage it.",
            "權杖「{name}」由 {person} 建立，但此人已無管理權限。",
        ),
        Event::Test => ("This is a test of the channel “{name}”.", "這是通知管道「{name}」的測試訊息。"),
    };
    pick(language, english, chinese)
}

/// Returns what the canary has found.
fn canary(subject: &str) -> (&'static str, &'static str) {
    match subject {
        "new-token" => (
            "A new token worked only after {ms} ms, not within {limit_ms} ms.",
            "新權杖在 {ms} 毫秒後才能使用，超過 {limit_ms} 毫秒。",
        ),
        "revoked" => (
            "A revoked token was refused only after {ms} ms, not within {limit_ms} ms.",
            "撤銷的權杖在 {ms} 毫秒後才被拒絕，超過 {limit_ms} 毫秒。",
        ),
        "usage" => (
            "A call was in usage only after {ms} ms, not within {limit_ms} ms.",
            "呼叫在 {ms} 毫秒後才計入用量，超過 {limit_ms} 毫秒。",
        ),
        "gateway" => ("The gateway does not respond.", "閘道沒有回應。"),
        _ => ("A change was not published.", "有一筆變更未能發布。"),
    }
}

/// Writes a time to the minute.
fn day_and_time(at: i64) -> Option<String> {
    let text = to_rfc3339(at)?;
    Some(format!("{} {} UTC", text.get(..10)?, text.get(11..16)?))
}

/// Writes a number. D1 takes integers as floating-point numbers, and SQLite writes those as `1.0`.
fn whole(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn number(details: &Value, name: &str) -> u64 {
    match details.get(name) {
        Some(Value::Number(number)) => whole(number).parse().unwrap_or(0),
        _ => 0,
    }
}

/// Writes micro-dollars with two decimal places.
fn dollars(micros: u64) -> String {
    format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000)
}

fn kind_of(details: &Value) -> Option<LimitKind> {
    let kind = details.get("kind")?.as_str()?;
    LimitKind::ALL.iter().copied().find(|known| known.as_str() == kind)
}

fn limit_name(details: &Value, language: Language) -> String {
    let measure = kind_of(details).map(LimitKind::measure);
    let (english, chinese) = match measure {
        Some(Measure::AiTokens(_)) => ("AI token quota", " AI token 配額"),
        Some(Measure::CostMicros(_)) => ("budget", "預算"),
        _ => ("call quota", "呼叫配額"),
    };
    let (day, week, month) = (("daily", "每日"), ("weekly", "每週"), ("monthly", "每月"));
    let (period, chinese_period) = match measure {
        Some(Measure::Calls(period) | Measure::AiTokens(period) | Measure::CostMicros(period)) => {
            match period {
                Period::Day => day,
                Period::Week => week,
                Period::Month => month,
            }
        }
        _ => day,
    };
    pick(language, format!("{period} {english}"), format!("{chinese_period}{chinese}"))
}

fn used_of(details: &Value) -> String {
    let (used, limit) = (number(details, "used"), number(details, "limit"));
    match kind_of(details).map(LimitKind::measure) {
        Some(Measure::CostMicros(_)) => format!("${} / ${}", dollars(used), dollars(limit)),
        _ => format!("{used} / {limit}"),
    }
}

/// Returns the page to look at. Ids are letters, digits, `_` and `-`; anything else leads to the list.
fn path(alert: &Alert, is_many: bool) -> String {
    let is_id =
        |id: &&str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let of = |list: &str, id: &str| match Some(id).filter(is_id).filter(|_| !is_many) {
        Some(id) => format!("/{list}/{id}"),
        None => format!("/{list}"),
    };
    match alert.event {
        Event::Budget => match (alert.details.get("token").and_then(Value::as_str), &alert.team) {
            (Some(token), _) => of("tokens", token),
            (None, Some(team)) => of("teams", team.as_str()),
            (None, None) => "/teams".to_owned(),
        },
        Event::TokenEnds | Event::TokenSpike | Event::TokenElsewhere | Event::TokenUnattended => {
            of("tokens", &alert.subject)
        }
        Event::RouteFailing | Event::RouteRecovered => of("routes", &alert.subject),
        Event::AdminAdded => "/users".to_owned(),
        Event::Test => "/channels".to_owned(),
        Event::PublicationLate | Event::CanaryLate | Event::DeadLetters | Event::DatabaseFull => {
            "/system-health".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn alert(event: Event, subject: &str, details: Value) -> Alert {
        Alert { event, subject: subject.to_owned(), team: Some("ops".into()), details, at: 0 }
    }

    fn written(alert: &Alert, language: Language) -> (String, String) {
        let message = Message::new(alert, &alert.subject, 0, language, Some("https://ui.example/"), 0);
        (message.text, message.link.unwrap())
    }

    #[test]
    fn a_budget_is_told_in_both_languages_with_figures_and_a_link() {
        let details = json!({"name": "Daily digest", "token": "tok_1", "kind": "cost-micros-per-day", "step": 80, "used": 2_409_884, "limit": 3_000_000});
        let budget = alert(Event::Budget, "tok_1 cost-micros-per-day", details);
        let link = "https://ui.example/tokens/tok_1".to_owned();
        let english = "“Daily digest” has used 80% of its daily budget: $2.40 / $3.00.".to_owned();
        assert_eq!(written(&budget, Language::English), (english, link.clone()));
        let chinese = "「Daily digest」已使用每日預算的 80%：$2.40 / $3.00。".to_owned();
        assert_eq!(written(&budget, Language::Chinese), (chinese, link));
        let team = json!({"name": "Ops", "kind": "calls-per-month", "step": 100, "used": 9, "limit": 9});
        let team = alert(Event::Budget, "ops calls-per-month", team);
        assert_eq!(
            written(&team, Language::English),
            (
                "“Ops” has used 100% of its monthly call quota: 9 / 9.".to_owned(),
                "https://ui.example/teams/ops".to_owned()
            )
        );
    }

    #[test]
    fn every_event_has_a_text_without_places_left_and_a_page() {
        for event in Event::ALL {
            for language in [Language::English, Language::Chinese] {
                let details = json!({"name": "n", "path": "/p", "step": 3, "expires_at": 1_790_000_000_000_i64, "value": 1, "usual": 0});
                let (text, link) = written(&alert(*event, "x_1", details), language);
                assert!(!text.contains(['{', '}']), "{text}");
                assert!(link.starts_with("https://ui.example/") && !link.ends_with('/'), "{link}");
            }
        }
    }

    #[test]
    fn each_finding_of_the_canary_has_a_text_of_its_own() {
        let found = |subject: &str| {
            let details = json!({"ms": 9_000, "limit_ms": 5_000});
            written(&alert(Event::CanaryLate, subject, details), Language::English).0
        };
        let texts = crate::collect::set(crate::canary::SUBJECTS.map(found));
        assert_eq!(texts.len(), crate::canary::SUBJECTS.len());
        assert_eq!(found("revoked"), "A revoked token was refused only after 9000 ms, not within 5000 ms.");
    }

    #[test]
    fn a_number_that_d1_has_made_a_fraction_is_written_whole() {
        let letters =
            alert(Event::DeadLetters, "queue", serde_json::from_str(r#"{"messages":1.0}"#).unwrap());
        assert_eq!(written(&letters, Language::English).0, "1 usage message could not be read.");
    }

    #[test]
    fn one_is_not_many() {
        let text = |event, details| written(&alert(event, "x", details), Language::English).0;
        let late = |pending| text(Event::PublicationLate, json!({"pending": pending, "waited_ms": 420_000}));
        assert_eq!(late(1), "1 change has waited for publication for 7 min.");
        assert_eq!(late(2), "2 changes have waited for publication, the oldest for 7 min.");
        assert_eq!(text(Event::DeadLetters, json!({"messages": 12})), "12 usage messages could not be read.");
        let spike = |usual| text(Event::TokenSpike, json!({"name": "n", "value": 100, "usual": usual}));
        assert!(spike(1).ends_with("1 is usual.") && spike(0).ends_with("0 are usual."));
    }

    #[test]
    fn many_lead_to_the_list_and_say_how_many_more() {
        let ends = alert(Event::TokenEnds, "tok_1", json!({"name": "a", "step": 14, "expires_at": 0}));
        let many = Message::new(&ends, MANY, 12, Language::English, Some("https://ui.example"), 0);
        assert_eq!(many.text, "Token “a” expires within 14 d: 1970-01-01 00:00 UTC. And 12 more.");
        assert_eq!(many.link.as_deref(), Some("https://ui.example/tokens"));
        assert_eq!(Message::new(&ends, "tok_1", 0, Language::English, None, 0).link, None);
    }

    #[test]
    fn an_alert_that_is_sent_late_says_when_it_happened() {
        let works = alert(Event::RouteRecovered, "r", json!({"path": "/api/a"}));
        let works = Alert { at: 1_790_000_000_000, ..works };
        let text = |age_ms: i64, more: u32, language| {
            Message::new(&works, "r", more, language, None, works.at + age_ms).text
        };
        let (english, chinese) = (Language::English, Language::Chinese);
        for age_ms in [-5_000, 0, LATE_MS] {
            assert_eq!(text(age_ms, 0, english), "/api/a works again.", "{age_ms}");
        }
        assert_eq!(text(LATE_MS + 1, 0, english), "/api/a works again. It happened at 2026-09-21 14:13 UTC.");
        assert_eq!(
            text(LATE_MS + 1, 2, english),
            "/api/a works again. It happened at 2026-09-21 14:13 UTC. And 2 more."
        );
        assert_eq!(text(LATE_MS + 1, 0, chinese), "/api/a 已恢復正常。發生時間：2026-09-21 14:13 UTC。");
        let other = Alert { at: -100_000_000_000_000_000, ..works.clone() };
        assert_eq!(Message::new(&other, "r", 0, english, None, 0).text, "/api/a works again.");
    }

    #[test]
    fn a_name_cannot_break_the_text_or_the_link() {
        let evil =
            alert(Event::TokenEnds, "../x?a", json!({"name": "a\nb{name}", "step": 1, "expires_at": 0}));
        let (text, link) = written(&evil, Language::English);
        assert!(text.starts_with("Token “a b{name}” expires"), "{text}");
        assert_eq!(link, "https://ui.example/tokens");
        let long = alert(Event::RouteRecovered, "r", json!({"path": "é".repeat(9_999)}));
        assert_eq!(written(&long, Language::English).0.chars().count(), MAX_TEXT);
    }
}
