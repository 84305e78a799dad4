//! The import wizard: the earlier system's files, a preview, the report.

use crate::api::{Api, CallError, use_api};
use crate::components::{Button, CallErrorView, Column, DataTable, NotAllowed, Page, Row};
use crate::format;
use crate::hooks::{use_action, use_id};
use crate::i18n::{I18n, use_i18n};
use crate::state::session::{can, use_me};
use contract::import::{Import, ImportMode, ImportReport, ImportRequest};
use domain::people::role::{Action, Subject};
use domain::v1::dump::{Table, number_calls, rows_of, settings_parts};
use domain::v1::import::{ImportItem, ImportOutcome};
use patternfly_yew::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlInputElement;
use yew::platform::spawn_local;
use yew::prelude::*;

/// Tokens and calls in one part; the API accepts 2,000 and 5,000.
const TOKENS_AT_ONCE: usize = 1_000;
const CALLS_AT_ONCE: usize = 2_000;
/// Lines of the report that are shown; the counts are of all.
const LINES_SHOWN: usize = 500;

/// A file's name and text.
type File = (String, String);

/// `/import`
#[component]
pub fn ImportPage() -> Html {
    let i18n = use_i18n();
    if can(&use_me(), Action::Import, Subject::default()) {
        html! { <Wizard /> }
    } else {
        html! { <NotAllowed title={i18n.t("import.title")} /> }
    }
}

#[component]
fn Wizard() -> Html {
    let i18n = use_i18n();
    let api = use_api();
    let files = use_state_eq(Vec::<File>::new);
    let report = use_state_eq(|| None::<Rc<ImportReport>>);
    let progress = use_state_eq(|| (0_usize, 0_usize));
    let input = use_id();
    let on_done = {
        let report = report.setter();
        Callback::from(move |done: ImportReport| report.set(Some(Rc::new(done))))
    };
    let action = {
        let progress = progress.setter();
        use_action(
            move |(mode, parts): (ImportMode, Vec<ImportRequest>)| {
                let (api, progress) = (api.clone(), progress.clone());
                async move { send(api, mode, parts, move |at, of| progress.set((at, of))).await }
            },
            on_done,
        )
    };
    let onchange = {
        let (files, report) = (files.setter(), report.setter());
        Callback::from(move |event: Event| {
            let list = event.target_unchecked_into::<HtmlInputElement>().files();
            let (files, report) = (files.clone(), report.clone());
            spawn_local(async move {
                let mut read = Vec::new();
                for file in list.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))) {
                    // A file that cannot be read counts as not chosen; the report shows it.
                    if let Ok(text) = JsFuture::from(file.text()).await {
                        read.push((file.name(), text.as_string().unwrap_or_default()));
                    }
                }
                report.set(None);
                files.set(read);
            });
        })
    };
    let parts = parts_of(&files);
    let run = |mode: ImportMode| {
        let (on_run, parts) = (action.on_run.clone(), parts.clone().unwrap_or_default());
        Callback::from(move |_: MouseEvent| on_run.emit((mode, parts.clone())))
    };
    let is_checked = report.as_ref().is_some_and(|report| !report.applied && report.created > 0);
    let (at, of) = *progress;
    html! {
        <Page title={i18n.t("import.title")} summary={i18n.t("import.summary")}>
            <div class="tm-stack">
                <Card>
                    <CardBody>
                        <div class="tm-form">
                            <label for={&input}>{ i18n.t("import.choose") }</label>
                            <input id={input} type="file" multiple=true accept=".json,.csv" {onchange} />
                            <p class="tm-subtle">{ i18n.t("import.files") }</p>
                            if let Err(name) = &parts {
                                <p class="tm-danger" role="alert">{ i18n.fill("import.unreadable", &[("name", name)]) }</p>
                            }
                            <div class="tm-server-answer">
                                <Button variant={ButtonVariant::Secondary} label={i18n.t("import.check").to_string()} loading={action.is_busy} disabled={files.is_empty() || parts.is_err()} onclick={run(ImportMode::Check)} />
                                <Button variant={ButtonVariant::Primary} label={i18n.t("import.apply").to_string()} disabled={action.is_busy || !is_checked} onclick={run(ImportMode::Apply)} />
                                if action.is_busy {
                                    <span role="status">{ i18n.fill("import.progress", &[("at", &at.to_string()), ("of", &of.to_string())]) }</span>
                                }
                            </div>
                        </div>
                    </CardBody>
                </Card>
                if let Some(error) = action.error {
                    <CallErrorView {error} />
                }
                if let Some(report) = report.as_ref() {
                    { shown(&i18n, report) }
                }
            </div>
        </Page>
    }
}

/// Sends one part after the other, as the script does, and joins their reports.
async fn send(
    api: Api,
    mode: ImportMode,
    parts: Vec<ImportRequest>,
    on_progress: impl Fn(usize, usize),
) -> Result<ImportReport, CallError> {
    let applied = mode == ImportMode::Apply;
    let mut all = ImportReport { applied, created: 0, existing: 0, refused: 0, items: vec![] };
    let mut teams = BTreeSet::new();
    let of = parts.len();
    for (i, part) in parts.into_iter().enumerate() {
        on_progress(i + 1, of);
        let report = api.request::<Import>().body(&ImportRequest { mode, ..part }).send().await?;
        for item in report.items {
            // A team that several parts name counts once.
            if item.kind == "team" && !teams.insert(item.subject.clone()) {
                continue;
            }
            match item.outcome {
                ImportOutcome::Created => all.created += 1,
                ImportOutcome::Exists => all.existing += 1,
                ImportOutcome::Refused => all.refused += 1,
            }
            all.items.push(item);
        }
    }
    Ok(all)
}

fn shown(i18n: &I18n, report: &ImportReport) -> Html {
    let columns =
        [i18n.t("import.outcome"), i18n.t("import.kind"), i18n.t("import.subject"), i18n.t("import.notes")]
            .map(Column::new);
    let rows: Vec<Row> = report
        .items
        .iter()
        .take(LINES_SHOWN)
        .enumerate()
        .map(|(i, item)| (i.to_string(), cells(i18n, item)))
        .collect();
    let count = |count: u32| format::number(i18n, u64::from(count));
    let counts = [
        ("created", &*count(report.created)),
        ("existing", &*count(report.existing)),
        ("refused", &*count(report.refused)),
    ];
    let title = if report.applied { i18n.t("import.done") } else { i18n.t("import.would-be") };
    html! {
        <Card>
            <CardTitle component="h2">{ &title }</CardTitle>
            <CardBody>
                <p role="status">{ i18n.fill("import.counts", &counts) }</p>
                if report.items.len() > LINES_SHOWN {
                    <p class="tm-subtle">{ i18n.fill("import.first", &[("count", &LINES_SHOWN.to_string())]) }</p>
                }
                <DataTable label={title} columns={columns.to_vec()} {rows} />
            </CardBody>
        </Card>
    }
}

fn cells(i18n: &I18n, item: &ImportItem) -> Vec<Html> {
    let (text, color) = match item.outcome {
        ImportOutcome::Created => (i18n.t("import.created"), Color::Green),
        ImportOutcome::Exists => (i18n.t("import.exists"), Color::Grey),
        ImportOutcome::Refused => (i18n.t("import.refused"), Color::Red),
    };
    vec![
        html! { <Label label={text.to_string()} {color} compact=true /> },
        html! { &item.kind },
        html! { <span class="tm-mono tm-address">{ &item.subject }</span> },
        html! { <>{ for item.notes.iter().map(|note| html! { <p>{ i18n.problem(note) }</p> }) }</> },
    ]
}

/// Returns the requests that the files make: settings first, then calls in parts. `Err` names a file that
/// cannot be read.
fn parts_of(files: &[File]) -> Result<Vec<ImportRequest>, String> {
    let request = |kv, tables| ImportRequest { mode: ImportMode::Check, kv, tables };
    let (mut kv, mut tables, mut calls) = (BTreeMap::new(), BTreeMap::new(), vec![]);
    for (name, text) in files {
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let value = match ending {
            "csv" => Value::String(text.clone()),
            _ => serde_json::from_str(text).map_err(|_| name.clone())?,
        };
        match stem {
            "kv" => kv.extend(kv_of(value).ok_or_else(|| name.clone())?),
            "teams" => _ = tables.insert(Table::Teams, value),
            "tokens" => _ = tables.insert(Table::Tokens, value),
            "routes" => _ = tables.insert(Table::Routes, value),
            "token_usage_logs" => calls = in_parts(value),
            _ => return Err(name.clone()),
        }
    }
    let settings = settings_parts(kv, tables, TOKENS_AT_ONCE).ok_or_else(|| "tokens".to_owned())?;
    let mut parts: Vec<ImportRequest> =
        settings.into_iter().map(|(kv, tables)| request(kv, tables)).collect();
    parts.extend(
        calls
            .into_iter()
            .map(|part| request(BTreeMap::new(), BTreeMap::from([(Table::TokenUsageLogs, part)]))),
    );
    Ok(parts)
}

/// Returns a dump of KV as an object. It may be an object, or a list of `{key, value}` or `{name, value}`.
fn kv_of(dump: Value) -> Option<BTreeMap<String, Value>> {
    let entry = |mut entry: Value| {
        let key = entry.get("key").or_else(|| entry.get("name"))?.as_str()?.to_owned();
        Some((key, entry.get_mut("value").map(Value::take).unwrap_or_default()))
    };
    match dump {
        Value::Object(entries) => Some(entries.into_iter().collect()),
        Value::Array(entries) => entries.into_iter().map(entry).collect(),
        _ => None,
    }
}

/// Splits rows into parts that are the same at every run. An unreadable table is sent unchanged, so that the
/// API refuses it.
fn in_parts(table: Value) -> Vec<Value> {
    let Some(mut rows) = rows_of(&table) else { return vec![table] };
    number_calls(&mut rows);
    rows.chunks(CALLS_AT_ONCE).map(|rows| rows.iter().cloned().map(Value::from).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> File {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn files_become_settings_and_then_parts_of_calls() {
        let rows = "1,\"a\nb\"\n".repeat(2_001);
        let files = [
            file("kv.json", r#"[{"key":"routes","value":{}},{"name":"token:x","value":"{}"}]"#),
            file("teams.csv", "id,name\nops,Ops\n"),
            file("token_usage_logs.csv", &format!("id,note\n{rows}")),
        ];
        let parts = parts_of(&files).unwrap();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[0].kv.keys().collect::<Vec<_>>(), ["routes"]);
        assert!(parts[0].tables.contains_key(&Table::Teams));
        assert_eq!(parts[1].kv.keys().collect::<Vec<_>>(), ["token:x"]);
        let last = parts[3].tables[&Table::TokenUsageLogs].as_array().unwrap();
        assert_eq!(last.len(), 1, "the 2,001st");
        assert_eq!(last[0]["_occurrence"], 2_000, "alike in every field, and still a call of its own");
    }

    #[test]
    fn an_unreadable_file_is_named() {
        assert_eq!(parts_of(&[file("notes.txt", "x")]).unwrap_err(), "notes.txt");
        assert_eq!(parts_of(&[file("kv.json", "5")]).unwrap_err(), "kv.json");
        assert_eq!(parts_of(&[file("other.json", "{}")]).unwrap_err(), "other.json");
    }
}
