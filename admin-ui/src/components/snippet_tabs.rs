//! One call as programs make it: a shell, n8n, OpenAI's clients, `fetch`.

use super::{Choice, ChoiceOption, CopyButton};
use crate::hooks::setter;
use crate::i18n::{I18n, use_i18n};
use crate::snippets::{self, Example};
use yew::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Curl,
    N8n,
    Python,
    Node,
    Fetch,
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SnippetTabsProps {
    /// The name of the route.
    pub name: AttrValue,
    /// The route's address.
    pub url: String,
    pub example: Example,
    /// The secret, while it is known; otherwise the snippets read the variable `TOKEN`.
    #[prop_or_default]
    pub token: Option<AttrValue>,
    /// Emits once a snippet is copied that holds the token.
    #[prop_or_default]
    pub on_copied: Callback<()>,
}

impl SnippetTabsProps {
    /// The programs that can make the call, each with its text.
    fn programs(&self, i18n: &I18n, id: &str) -> Vec<(Program, AttrValue, String)> {
        let (example, url, token) = (&self.example, self.url.as_str(), self.token.as_deref());
        let python = snippets::openai_python(example, url, token);
        let node = snippets::openai_node(example, url, token);
        let curl = snippets::curl(example, url, token.unwrap_or(snippets::TOKEN_VARIABLE));
        let n8n = snippets::n8n_node(id, &self.name, example, url);
        let all = [
            (Program::Curl, "cURL".into(), Some(curl)),
            (Program::N8n, "n8n".into(), Some(n8n)),
            (Program::Python, i18n.t("snippets.python"), python),
            (Program::Node, i18n.t("snippets.node"), node),
            (Program::Fetch, "fetch".into(), Some(snippets::fetch(example, url, token))),
        ];
        all.into_iter().filter_map(|(program, name, text)| Some((program, name, text?))).collect()
    }
}

/// The call in the program of choice, to be copied.
#[component]
pub fn SnippetTabs(props: &SnippetTabsProps) -> Html {
    let i18n = use_i18n();
    let chosen = use_state_eq(|| Program::Curl);
    let id = use_memo((), |()| {
        gloo::utils::window().crypto().map(|crypto| crypto.random_uuid()).unwrap_or_default()
    });
    let programs = props.programs(&i18n, &id);
    let options: Vec<_> = programs
        .iter()
        .map(|(value, text, _)| ChoiceOption { value: *value, text: text.clone(), icon: None, lang: None })
        .collect();
    let Some((program, name, text)) =
        programs.iter().find(|(program, ..)| program == &*chosen).or(programs.first())
    else {
        return html! {};
    };
    let label = match program {
        Program::Curl => i18n.t("routes.copy-curl"),
        Program::N8n => i18n.t("routes.copy-n8n"),
        _ => i18n.fill("snippets.copy", &[("name", name)]),
    };
    // A node holds no token, so copying one saves nothing.
    let on_copied = if *program == Program::N8n { Callback::noop() } else { props.on_copied.clone() };
    html! {
        <div class="tm-form">
            <Choice<Program> label={i18n.t("snippets.title")} {options} selected={*program} on_choose={setter(&chosen)} />
            if *program == Program::N8n {
                <ol class="pf-v6-c-list">
                    <li>{ i18n.t("reveal.n8n-credential") }</li>
                    <li>{ i18n.t("reveal.n8n-name") }{ " " }<code>{ "X-API-Key" }</code></li>
                    <li>{ i18n.t("reveal.n8n-value") }</li>
                    <li>{ i18n.t("reveal.n8n-paste") }</li>
                </ol>
            }
            <div class="tm-secret">
                <code tabindex="0" data-snippet={name.clone()}>{ text }</code>
                <CopyButton key={name.to_string()} text={text.clone()} {label} caption={i18n.t("copy.copy")} {on_copied} />
            </div>
        </div>
    }
}
