//! The check of an exported audit log. The file stays in the browser.

use crate::components::{Button, Notice, Page, TextField};
use crate::format;
use crate::hooks::use_id;
use crate::i18n::{I18n, use_i18n};
use crate::route::Route;
use crate::state::toasts::Tone;
use domain::audit::chain::Head;
use domain::audit::verify::{Proof, Published, Report, Verifier};
use domain::problem::{Invalid, Problem};
use js_sys::Uint8Array;
use patternfly_yew::prelude::*;
use std::rc::Rc;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlInputElement};
use yew::platform::spawn_local;
use yew::prelude::*;
use yew_router::prelude::*;

/// Bytes that are checked at once. In between, the page shows how far it has come.
const PIECE: f64 = 1_048_576.0;

#[derive(Clone, Debug, PartialEq)]
enum State {
    Idle,
    /// Megabytes done, and of how many.
    Busy(f64, f64),
    Unreadable,
    Done(Rc<Report>),
}

/// `/audit-logs/verify`
#[component]
pub fn AuditVerifyPage() -> Html {
    let i18n = use_i18n();
    let state = use_state_eq(|| State::Idle);
    let head = use_state_eq(String::new);
    let input = use_node_ref();
    let id = use_id();
    let published = read_head(&head);
    let is_busy = matches!(*state, State::Busy(..));
    let onclick = {
        let (state, input, published) = (state.setter(), input.clone(), published.clone());
        Callback::from(move |_: MouseEvent| {
            let file = input.cast::<HtmlInputElement>().and_then(|input| input.files()?.get(0));
            let (Some(file), Ok(published), false) = (file, published.clone(), is_busy) else { return };
            let state = state.clone();
            spawn_local(async move {
                let report = check(&file, published, |at, of| state.set(State::Busy(at, of))).await;
                state.set(report.map_or(State::Unreadable, |report| State::Done(Rc::new(report))));
            });
        })
    };
    let onchange = {
        let state = state.setter();
        Callback::from(move |_: Event| state.set(State::Idle))
    };
    let on_change = {
        let (state, head) = (state.setter(), head.setter());
        Callback::from(move |text: String| {
            state.set(State::Idle);
            head.set(text);
        })
    };
    let parent = html! { <Link<Route> to={Route::AuditLogs}>{ i18n.t("audit.title") }</Link<Route>> };
    html! {
        <Page title={i18n.t("audit.verify")} summary={i18n.t("audit.verify-summary")} {parent}>
            <div class="tm-stack">
                <Card>
                    <CardBody>
                        <div class="tm-form">
                            <label for={&id}>{ i18n.t("audit.file") }</label>
                            <input {id} ref={input} type="file" accept=".csv" disabled={is_busy} {onchange} />
                            <TextField label={i18n.t("audit.published-head")} value={(*head).clone()} {on_change} help={i18n.t("audit.published-head-help")} error={published.as_ref().err().cloned()} is_disabled={is_busy} />
                            <div class="tm-server-answer">
                                <Button variant={ButtonVariant::Primary} label={i18n.t("audit.verify-run").to_string()} loading={is_busy} disabled={published.is_err()} {onclick} />
                                { progress(&i18n, &state) }
                            </div>
                        </div>
                    </CardBody>
                </Card>
                { outcome(&i18n, &state) }
            </div>
        </Page>
    }
}

/// Reads the head that was kept elsewhere; an empty field means none.
fn read_head(text: &str) -> Result<Option<Published>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Invalid::EntryHash.into())
}

/// Checks a file piece by piece; `None` if it cannot be read.
async fn check(file: &File, published: Option<Published>, on_progress: impl Fn(f64, f64)) -> Option<Report> {
    let mut verifier = Verifier::default();
    let (mut at, size) = (0.0, file.size());
    while at < size {
        on_progress(at / 1e6, size / 1e6);
        let piece = file.slice_with_f64_and_f64(at, at + PIECE).ok()?;
        let bytes = JsFuture::from(piece.array_buffer()).await.ok()?;
        verifier.push(&Uint8Array::new(&bytes).to_vec());
        at += PIECE;
    }
    Some(verifier.finish(published))
}

fn progress(i18n: &I18n, state: &State) -> Html {
    let State::Busy(at, of) = state else { return Html::default() };
    let (done, size) = (format!("{at:.0}"), format!("{of:.0}"));
    html! {
        <>
            <progress value={at.to_string()} max={of.to_string()} aria-label={i18n.t("audit.verify")} />
            <span role="status">{ i18n.fill("audit.verify-progress", &[("at", &done), ("of", &size)]) }</span>
        </>
    }
}

fn outcome(i18n: &I18n, state: &State) -> Html {
    let report = match state {
        State::Idle | State::Busy(..) => return Html::default(),
        State::Unreadable => {
            return html! { <Notice tone={Tone::Danger} title={i18n.t("audit.file-unreadable")} role="alert" /> };
        }
        State::Done(report) => report,
    };
    let count = |count: usize| format::number(i18n, u64::try_from(count).unwrap_or(u64::MAX));
    let place = |label: &'static str, head: Option<&Head>| {
        let Some(head) = head else { return Html::default() };
        html! { <p>{ i18n.t(label) }<br /><code class="tm-mono tm-address">{ head.to_string() }</code></p> }
    };
    let facts = html! {
        <>
            <p>{ i18n.fill("audit.verify-entries", &[("entries", &count(report.entries)), ("unchained", &count(report.unchained))]) }</p>
            if report.start.is_none() {
                <p>{ i18n.t("audit.verify-part") }</p>
            }
            { place("audit.start", report.start.as_ref()) }
            if let Some(at) = report.oldest_at {
                <p>{ i18n.t("audit.oldest") }<br />{ format::date_time_exact(i18n, at) }</p>
            }
            { place("audit.newest", report.newest.as_ref()) }
        </>
    };
    let proof = match &report.result {
        Ok(proof) => *proof,
        Err(finding) => {
            let title = i18n.problem(&Problem::from(finding.clone()));
            return html! { <Notice tone={Tone::Danger} {title} role="alert">{ facts }</Notice> };
        }
    };
    let title = i18n.t(match proof {
        Proof::UpToHead => "audit.verified",
        Proof::Alone => "audit.verified-alone",
        Proof::Entries => "audit.verified-entries",
        Proof::HeadAbsent => "audit.verified-without-head",
        Proof::HeadAtStart => "audit.verified-nothing",
        Proof::Loose => "audit.verified-loose",
    });
    let tone = if proof.is_enough() { Tone::Success } else { Tone::Warning };
    html! { <Notice {tone} {title} role="status">{ facts }</Notice> }
}
