//! Reports compared with decisions about each call by itself.

use super::*;
use crate::call::plan::{Request, metered};
use crate::error::GatewayError;
use crate::limit::ledger::{Ask, Ledger, Settlement, Take};
use crate::limit::{DEFAULT_CEILING_MICROS, DEFAULT_CEILING_TOKENS};
use crate::stored::Unread;
use crate::time::MINUTE_MS;
use crate::upstream::settings::{AiProvider, AiSettings, Maintenance};
use crate::usage::AiUsage;
use crate::usage::outcome::OutcomeClass;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Decides one call by one policy with nothing remembered but what the limits count.
struct Brute<'a> {
    policy: &'a Policy,
    tokens: HashMap<String, Ledger>,
    team: Ledger,
}

impl Brute<'_> {
    fn refusal(
        &mut self,
        event: &UsageEvent,
        subject: &Subject,
        counts: bool,
    ) -> Option<Option<(String, u16)>> {
        let token = self.policy.tokens.get(&event.token_id)?;
        let told = |error: GatewayError| Some((error.code().to_owned(), error.status()));
        let path = RequestPath::parse(&event.path).unwrap();
        let client_ip = event.client_ip.as_ref().and_then(|ip| ip.parse().ok());
        let call = Call { method: &event.method, path: &path, client_ip, now: NOW };
        let permit = match decide(token, &self.policy.table, &call) {
            Err(denial) => return Some(told(denial.error())),
            Ok(permit) => permit,
        };
        if permit.route().behaviour.settings.maintenance.is_some() {
            return Some(told(GatewayError::UnderMaintenance));
        }
        if token.limits.body_bytes.is_some_and(|most| event.bytes_in.unwrap_or(0) > most) {
            return Some(told(GatewayError::PayloadTooLarge));
        }
        if !counts {
            return Some(None);
        }
        let request = Request { method: &event.method, path: &path, is_socket: false };
        let costs = event.ai.is_some() || metered(&permit, None, &request).is_some();
        let most = Ask {
            tokens: token.limits.ai_tokens_per_call.unwrap_or(DEFAULT_CEILING_TOKENS),
            micros: token.limits.cost_micros_per_call.unwrap_or(DEFAULT_CEILING_MICROS),
        };
        let ask = if costs { most } else { Ask::default() };
        let settlement = event.ai.as_ref().map_or(Settlement::NOTHING, |ai| Settlement {
            tokens: ai
                .prompt_tokens
                .zip(ai.completion_tokens)
                .map(|(prompt, completion)| prompt + completion),
            micros: ai.cost_micros,
        });
        let budget = if *subject == Subject::Team { token.team_budget.clone() } else { Limits::default() };
        let ledgers = [
            (self.tokens.entry(event.token_id.to_string()).or_default(), token.limits.clone()),
            (&mut self.team, budget),
        ];
        let mut kept = Vec::new();
        for (ledger, limits) in ledgers {
            let mut tried = ledger.clone();
            let take = Take { call: event.id.clone(), limits, ask, zone: token.zone, ..Take::default() };
            if let Err(limited) = tried.take(&take, event.at) {
                return Some(told(limited.kind.measure().error()));
            }
            tried.settle(&event.id, settlement, event.at);
            kept.push((ledger, tried));
        }
        for (ledger, tried) in kept {
            *ledger = tried;
        }
        Some(None)
    }
}

/// The counts of a report: looked at, refused, refused already, admitted, restored; then its steps and workflows.
type Counts =
    ([u64; 5], BTreeMap<(String, u16), u64>, BTreeMap<(String, String, String, String), (u64, UnixMs)>);

fn by_brute_force(events: &[UsageEvent], change: &Change, counts: bool) -> Counts {
    let ledgers = |policy| Brute { policy, tokens: HashMap::new(), team: Ledger::default() };
    let (mut before, mut after) = (ledgers(&change.before), ledgers(&change.after));
    let mut events = events.to_vec();
    events.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let (mut sums, mut steps, mut workflows) = ([0; 5], BTreeMap::new(), BTreeMap::new());
    for event in &events {
        if let Subject::Route(id) = &change.subject {
            let path = RequestPath::parse(&event.path).unwrap();
            let route = |policy: &Policy| policy.table.find(&path).map(|route| route.rule.id.clone());
            let (was, is) = (route(&change.before), route(&change.after));
            if was == is && was.as_ref() != Some(id) {
                continue;
            }
        }
        let Some(was) = before.refusal(event, &change.subject, counts) else { continue };
        let Some(is) = after.refusal(event, &change.subject, counts) else { continue };
        let then = !matches!(event.outcome.class(), OutcomeClass::Denied | OutcomeClass::Limited)
            && event.outcome != Outcome::Maintenance;
        sums[0] += 1;
        match (then, was, is) {
            (true, None, Some(step)) => {
                sums[1] += 1;
                *steps.entry(step).or_default() += 1;
                let agent = event.user_agent.as_ref().map(|agent| agent.to_string()).unwrap_or_default();
                let key =
                    (event.token_id.to_string(), event.method.to_string(), event.path.to_string(), agent);
                let workflow = workflows.entry(key).or_insert((0, 0));
                *workflow = (workflow.0 + 1, event.at);
            }
            (true, Some(_), Some(_)) => sums[2] += 1,
            (false, Some(_), None) => sums[3] += 1,
            (true, Some(_), None) => sums[4] += 1,
            _ => {}
        }
    }
    (sums, steps, workflows)
}

/// Fails if a report differs from deciding each call by itself.
fn assert_same(events: &[UsageEvent], change: &Change) -> Result<Report, TestCaseError> {
    let report = run(taken(events, events.len()), change, None);
    let counts = !matches!(change.subject, Subject::Route(_))
        && change.after.tokens.iter().any(|(id, after)| {
            let before = &change.before.tokens[id];
            let is_active = before.state == TokenState::Active && after.state == TokenState::Active;
            let is_team = change.subject == Subject::Team;
            is_active
                && (before.limits != after.limits || (is_team && before.team_budget != after.team_budget))
        });
    let (sums, mut steps, workflows) = by_brute_force(events, change, counts);
    let Report { looked_at, refused, already_refused, admitted, restored, .. } = report;
    prop_assert_eq!([looked_at, refused, already_refused, admitted, restored], sums);
    for step in &report.steps {
        // One error may stand for several limits.
        let left = steps.get_mut(&(step.code.clone(), step.status));
        let Some(left) = left else { return Err(TestCaseError::fail(format!("{step:?}"))) };
        *left -= step.calls;
    }
    prop_assert!(steps.values().all(|left| *left == 0), "{:?}", steps);
    prop_assert_eq!(report.workflows.len(), workflows.len().min(10));
    let least = report.workflows.last().map_or(0, |last| last.calls);
    for Workflow { token_id, method, path, user_agent, calls, last_at, last_id, .. } in &report.workflows {
        let key =
            (token_id.to_string(), method.clone(), path.clone(), user_agent.clone().unwrap_or_default());
        prop_assert_eq!(workflows.get(&key), Some(&(*calls, *last_at)));
        prop_assert!(events.iter().any(|event| event.id == *last_id && event.at == *last_at));
    }
    let more = workflows.values().filter(|(calls, _)| *calls > least).count();
    prop_assert!(more <= report.workflows.len(), "the most frequent come first");
    Ok(report)
}

const SCOPES: [&str; 7] =
    ["*", "x", "tag:t", "GET /api/x/*", "/api/ai/v1/chat/completions", "ai", "POST /api/x/b"];
const PATHS: [&str; 8] = [
    "/api/x",
    "/api/x/a",
    "/api/x/b",
    "/api/x/deep/a",
    "/api/x//deep",
    "/api/ai/v1/chat/completions",
    "/api/y/%2e%2e%2fz",
    "/none",
];

fn limits() -> impl Strategy<Value = Limits> {
    let one = |most: u64| proptest::option::weighted(0.3, 1..most);
    (one(5), one(20), one(400), one(400), one(300), one(60)).prop_map(
        |(minute, day, tokens, micros, week, body_bytes)| Limits {
            calls_per_minute: minute,
            calls_per_day: day,
            ai_tokens_per_minute: tokens,
            cost_micros_per_day: micros,
            ai_tokens_per_week: week,
            cost_micros_per_call: Some(70),
            ai_tokens_per_call: Some(90),
            body_bytes,
            ..Limits::default()
        },
    )
}

fn tokens() -> impl Strategy<Value = Vec<TokenRecord>> {
    let one = (
        proptest::collection::vec(0..SCOPES.len(), 0..4),
        proptest::option::of(prop_oneof![Just(NOW - 1), Just(NOW), Just(NOW + 1)]),
        0..8_u8,
        any::<bool>(),
        limits(),
    );
    (proptest::collection::vec(one, 2), limits()).prop_map(|(all, budget)| {
        let token = |(i, (scopes, expires_at, state, is_bound, limits)): (
            usize,
            (Vec<usize>, _, u8, bool, Limits),
        )| {
            let scopes: Vec<&str> = scopes.into_iter().map(|scope| SCOPES[scope]).collect();
            let state = [TokenState::Disabled, TokenState::Revoked].get(usize::from(state)).copied();
            TokenRecord {
                state: state.unwrap_or_default(),
                expires_at,
                ip_allow: if is_bound { vec!["10.0.0.0/8".parse().unwrap()] } else { vec![] },
                limits,
                team_budget: Limits {
                    calls_per_minute: None,
                    calls_per_day: None,
                    body_bytes: None,
                    ..budget.clone()
                },
                ..token(&format!("tok_{i}"), &scopes)
            }
        };
        all.into_iter().enumerate().map(token).collect()
    })
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    proptest::collection::vec((0..5_usize, any::<bool>(), any::<bool>(), 0..6_u8), 1..5).prop_map(|all| {
        let one = |(path, is_tagged, gets, closed): (usize, bool, bool, u8)| {
            let mut route =
                route(["/api/x", "/api/x/deep", "/api", "/api/ai", "/api/y"][path], "https://h.example");
            route.rule.tags = if is_tagged { vec!["t".into()] } else { vec![] };
            route.rule.methods = if gets { vec!["GET".parse().unwrap()] } else { vec![] };
            let ai =
                AiSettings { provider: AiProvider::Openai, include_usage: false, unread: Unread::default() };
            route.behaviour.settings.ai = (path == 3).then_some(ai);
            route.behaviour.settings.maintenance = (closed == 0).then(|| Maintenance {
                message: "m".into(),
                retry_after_s: 1,
                unread: Unread::default(),
            });
            route
        };
        all.into_iter().map(one).collect()
    })
}

/// When, token, path and whether it posts; outcome, address, client program and length; AI use.
type Made = (
    (UnixMs, usize, usize, bool),
    (usize, usize, bool, Option<u64>),
    Option<(Option<u64>, Option<u64>, Option<u64>)>,
);

fn events() -> impl Strategy<Value = Vec<UsageEvent>> {
    let ai =
        (proptest::option::of(0..60_u64), proptest::option::of(0..60_u64), proptest::option::of(0..99_u64));
    let one = (
        (0..90 * MINUTE_MS, 0..3_usize, 0..PATHS.len(), any::<bool>()),
        (0..Outcome::ALL.len() * 2, 0..3_usize, any::<bool>(), proptest::option::of(0..99_u64)),
        proptest::option::of(ai),
    );
    proptest::collection::vec(one, 0..60)
        .prop_map(|all| all.into_iter().enumerate().map(|(i, made)| made_event(i, made)).collect())
}

fn made_event(i: usize, ((at, token, path, posts), (outcome, ip, agent, bytes_in), ai): Made) -> UsageEvent {
    UsageEvent {
        id: format!("e{i}"),
        at: START + at,
        token_id: format!("tok_{token}").as_str().into(),
        path: RequestPath::parse(PATHS[path]).unwrap().as_str().into(),
        method: if posts { "POST" } else { "GET" }.into(),
        outcome: *Outcome::ALL.get(outcome).unwrap_or(&Outcome::Ok),
        label: None,
        second: false,
        limit: None,
        retries: 0,
        credential: None,
        refused: vec![],
        upstream_request_id: None,
        error: None,
        client_ip: [Some("10.0.0.9"), Some("192.0.2.1"), None][ip].map(Into::into),
        user_agent: Some(if agent { "n8n/1" } else { "curl \"8\"" }.into()),
        bytes_in,
        ai: ai.map(|(prompt_tokens, completion_tokens, cost_micros)| AiUsage {
            prompt_tokens,
            completion_tokens,
            cost_micros,
            ..AiUsage::default()
        }),
        ..event()
    }
}

proptest! {
    #[test]
    fn a_report_is_that_of_deciding_each_call_again(
        events in events(), before in (tokens(), routes()), after in (tokens(), routes()), subject in 0..3_u8,
    ) {
        let subject = match subject {
            0 => Subject::Token,
            1 => Subject::Team,
            _ => Subject::Route("rte_/api/x".into()),
        };
        let change = change(subject, policy(before.1, before.0), policy(after.1, after.0));
        assert_same(&events, &change)?;
    }

    #[test]
    fn a_cut_of_one_scope_names_exactly_the_calls_that_break(events in events(), routes in routes()) {
        let before = policy(routes.clone(), [token("tok_0", &["x", "ai"]), token("tok_1", &["*"])]);
        let after = policy(routes, [token("tok_0", &["ai"]), token("tok_1", &["*"])]);
        let report = assert_same(&events, &change(Subject::Token, before, after))?;
        prop_assert!(report.steps.iter().all(|step| step.code == "permission-denied"));
        prop_assert!(report.workflows.iter().all(|one| one.token_id.as_str() == "tok_0"));
    }

    #[test]
    fn only_the_newest_calls_are_looked_at(events in events(), most in 0..20_usize) {
        let tokens = || [token("tok_0", &[]), token("tok_1", &[]), token("tok_2", &[])];
        let routes = || [route("/api", "https://h.example")];
        let change = change(Subject::Team, policy(routes(), tokens()), policy(routes(), tokens()));
        let report = run(taken(&events, most), &change, None);
        let mut times: Vec<UnixMs> = events.iter().map(|event| event.at).collect();
        times.sort_unstable();
        let newest = &times[times.len().saturating_sub(most)..];
        prop_assert_eq!(report.looked_at, newest.len() as u64);
        prop_assert_eq!(report.back_to, newest.first().copied());
        prop_assert_eq!(report.is_whole, events.len() <= most);
    }
}
