//! The choice of scopes by route, service, tag or path, with the routes that it opens.

use crate::components::{Button, CheckField, Choice, ChoiceOption, ScopeLabel, SearchField, TextField, edit};
use crate::format;
use crate::hooks::{rule_of, setter};
use crate::i18n::{I18n, use_i18n};
use contract::routes::RouteView;
use domain::access::scope::{InvalidScope, Reach, Scope};
use domain::problem::Problem;
use patternfly_yew::prelude::{ButtonSize, ButtonVariant, Icon};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, Node};
use yew::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Service,
    Tag,
    Route,
    Path,
}

/// With more choices than these there is a search.
const FEW: usize = 12;
/// Choices that are shown at once.
const SHOWN: usize = 60;

/// A scope to choose.
#[derive(Clone, Debug)]
struct Offer {
    scope: String,
    label: AttrValue,
    help: Option<AttrValue>,
    /// In lower case, to be searched.
    words: String,
}

impl Offer {
    fn new(scope: String, label: AttrValue, help: Option<AttrValue>) -> Self {
        Self { words: label.to_lowercase(), scope, label, help }
    }

    fn matches(&self, wanted: &str) -> bool {
        self.words.contains(wanted) || self.scope.to_lowercase().contains(wanted)
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ScopePickerProps {
    pub label: AttrValue,
    pub routes: Rc<Vec<RouteView>>,
    pub scopes: Vec<String>,
    pub on_change: Callback<Vec<String>>,
    /// The team's scope cap, if it has one.
    #[prop_or_default]
    pub cap: Option<Vec<String>>,
    #[prop_or_default]
    pub error: Option<Problem>,
}

/// Chooses scopes, and shows the routes that they open.
#[component]
pub fn ScopePicker(props: &ScopePickerProps) -> Html {
    let i18n = use_i18n();
    let by = use_state_eq(|| By::Service);
    let kinds = [
        (By::Service, i18n.t("scope.by-service")),
        (By::Tag, i18n.t("scope.by-tag")),
        (By::Route, i18n.t("scope.by-route")),
        (By::Path, i18n.t("scope.by-path")),
    ];
    let kinds = kinds.map(|(value, text)| ChoiceOption { value, text, icon: None, lang: None });
    let on_choose = setter(&by);
    let typed = use_state_eq(String::new);
    let on_type = setter(&typed);
    let all = props.options(*by);
    let wanted = typed.trim().to_lowercase();
    let found: Vec<&Offer> = all.iter().filter(|offer| offer.matches(&wanted)).collect();
    let more = found.len().saturating_sub(SHOWN);
    let options: Vec<Html> = found.into_iter().take(SHOWN).map(|offer| props.option(offer)).collect();
    html! {
        <fieldset class="tm-fieldset" tabindex="-1" data-invalid={props.error.as_ref().map(|_| "true")}>
            <legend class="pf-v6-c-form__label-text">{ &props.label }</legend>
            <ul role="list">{ props.option(&Offer::new("*".to_owned(), i18n.t("scope.all"), Some(i18n.t("scope.all-help")))) }</ul>
            <Choice<By> label={i18n.t("scope.by")} options={kinds.to_vec()} selected={*by} {on_choose} />
            if *by == By::Path {
                <PathScope scopes={props.scopes.clone()} on_change={props.on_change.clone()} />
            } else if all.is_empty() {
                <p class="tm-subtle">{ i18n.t("scope.none-to-choose") }</p>
            } else {
                if all.len() > FEW {
                    <SearchField label={i18n.t("scope.search")} value={(*typed).clone()} on_change={on_type} />
                }
                if options.is_empty() {
                    <p class="tm-subtle">{ i18n.t("scope.none-found") }</p>
                } else {
                    <ul class="tm-options" role="list">{ for options }</ul>
                }
                if more > 0 {
                    <p class="tm-subtle">{ i18n.fill("scope.narrow", &[("count", &more.to_string())]) }</p>
                }
            }
            if !props.scopes.is_empty() {
                <ul class="tm-labels" role="list" aria-label={i18n.t("scope.chosen")}>
                    { for props.scopes.iter().map(|scope| props.chip(&i18n, scope)) }
                </ul>
            }
            if let Some(cap) = &props.cap {
                <p class="tm-subtle">{ i18n.fill("scope.cap", &[("scopes", &cap.join(", "))]) }</p>
            }
            <div aria-live="polite">
                if let Some(error) = &props.error {
                    <p class="tm-danger">{ i18n.problem(error) }</p>
                }
                <Opened routes={Rc::clone(&props.routes)} scopes={props.scopes.clone()} />
            </div>
        </fieldset>
    }
}

impl ScopePickerProps {
    /// Returns a callback that chooses a scope, or removes it.
    fn toggle(&self, scope: String) -> Callback<bool> {
        edit(&self.scopes, &self.on_change, move |scopes: &mut Vec<String>, is_chosen| {
            scopes.retain(|other| *other != scope);
            if is_chosen {
                scopes.push(scope.clone());
            }
        })
    }

    fn option(&self, offer: &Offer) -> Html {
        let Offer { scope, label, help, .. } = offer.clone();
        let is_checked = self.scopes.contains(&scope);
        // A chosen scope outside the cap can still be removed.
        let is_disabled = !is_checked && !is_inside(&scope, self.cap.as_deref());
        html! {
            <li key={scope.clone()}>
                <CheckField {label} {help} {is_checked} {is_disabled} on_change={self.toggle(scope)} />
            </li>
        }
    }

    fn options(&self, by: By) -> Vec<Offer> {
        match by {
            By::Service => services(&self.routes)
                .into_iter()
                .map(|(service, words)| Offer { words, ..Offer::new(service.clone(), service.into(), None) })
                .collect(),
            By::Tag => tags(&self.routes)
                .into_iter()
                .map(|tag| Offer::new(format!("tag:{tag}"), AttrValue::from(tag), None))
                .collect(),
            By::Route => self
                .routes
                .iter()
                .map(|route| {
                    let path = AttrValue::from(route.path.as_str().to_owned());
                    let offer = Offer::new(
                        format!("route:{}", route.id),
                        AttrValue::from(route.name.clone()),
                        Some(path),
                    );
                    Offer { words: words_of(route), ..offer }
                })
                .collect(),
            By::Path => vec![],
        }
    }

    /// A chosen scope, with a button that removes it.
    fn chip(&self, i18n: &I18n, scope: &str) -> Html {
        let name = name_of(scope, &self.routes);
        html! {
            <li key={scope.to_owned()} class="tm-chip">
                <ScopeLabel scope={name.clone()} is_stale={is_stale(scope, &self.routes)} />
                <Button
                    variant={ButtonVariant::Plain}
                    size={ButtonSize::Small}
                    icon={Icon::Times}
                    aria_label={i18n.fill("scope.remove", &[("scope", &name)])}
                    onclick={self.toggle(scope.to_owned()).reform(|_| false)}
                />
            </li>
        }
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct PathScopeProps {
    scopes: Vec<String>,
    on_change: Callback<Vec<String>>,
}

/// A pattern with methods, typed in.
#[component]
fn PathScope(props: &PathScopeProps) -> Html {
    let i18n = use_i18n();
    let (methods, path) = (use_state_eq(String::new), use_state_eq(String::new));
    let error = use_state_eq(|| None::<InvalidScope>);
    let on_add = {
        let (methods, path, error) = (methods.clone(), path.clone(), error.setter());
        let (scopes, on_change) = (props.scopes.clone(), props.on_change.clone());
        Callback::from(move |()| {
            if path.trim().is_empty() {
                return;
            }
            let text = format!("{} {}", methods.replace(' ', "").to_ascii_uppercase(), path.trim());
            match text.parse::<Scope>() {
                // A word without a slash would be a service, which is chosen by its own list.
                Ok(scope @ Scope::Path { .. }) => {
                    let mut scopes = scopes.clone();
                    if !scopes.contains(&scope.to_string()) {
                        scopes.push(scope.to_string());
                    }
                    on_change.emit(scopes);
                    path.set(String::new());
                    error.set(None);
                }
                Ok(_) => error.set(Some(InvalidScope::Path)),
                Err(why) => error.set(Some(why)),
            }
        })
    };

    // A path that is typed in counts, whether or not the button is pressed.
    let (node, on_leave, on_button) = (use_node_ref(), on_add.clone(), on_add.reform(|_: MouseEvent| ()));
    let onfocusout = {
        let node = node.clone();
        Callback::from(move |event: FocusEvent| {
            let next = event.related_target().and_then(|target| target.dyn_into::<Node>().ok());
            if !node.cast::<Node>().is_some_and(|node| node.contains(next.as_ref())) {
                on_leave.emit(());
            }
        })
    };
    let onkeydown = Callback::from(move |event: KeyboardEvent| {
        let is_in_field = event.target().is_some_and(|target| target.has_type::<HtmlInputElement>());
        if event.key() == "Enter" && is_in_field && !event.is_composing() {
            event.prevent_default();
            on_add.emit(());
        }
    });
    let on_type = |state: &UseStateHandle<String>| {
        let (state, error) = (state.setter(), error.setter());
        Callback::from(move |text| {
            state.set(text);
            error.set(None);
        })
    };
    html! {
        <div class="tm-form-row" ref={node} {onfocusout} {onkeydown}>
            <TextField
                label={i18n.t("scope.methods")}
                value={(*methods).clone()}
                on_change={on_type(&methods)}
                placeholder="GET,POST"
                help={i18n.t("scope.methods-help")}
            />
            <TextField
                label={i18n.t("scope.path")}
                value={(*path).clone()}
                on_change={on_type(&path)}
                placeholder="/api/openai/*"
                help={i18n.t("scope.path-help")}
                error={error.map(Problem::from)}
            />
            <Button variant={ButtonVariant::Secondary} label={i18n.t("scope.add").to_string()} onclick={on_button} />
        </div>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
struct OpenedProps {
    routes: Rc<Vec<RouteView>>,
    scopes: Vec<String>,
}

/// The routes that the choice opens, and how much of each.
#[component]
fn Opened(props: &OpenedProps) -> Html {
    let i18n = use_i18n();
    if props.scopes.is_empty() {
        return html! { <p class="tm-subtle">{ i18n.t("scope.opens-nothing") }</p> };
    }
    let opened = opened(&props.scopes, &props.routes);
    if opened.is_empty() {
        return html! { <p class="tm-danger">{ i18n.t("scope.opens-no-route") }</p> };
    }
    let count = u64::try_from(opened.len()).unwrap_or_default();
    html! {
        <details class="tm-details" open={opened.len() <= 8}>
            <summary>{ format::count(&i18n, "scope.opens-one", "scope.opens", count) }</summary>
            <ul class="tm-opened">
                { for opened.iter().map(|(route, reach)| html! {
                    <li>
                        <code>{ route.path.as_str() }</code>
                        if *reach == Reach::Part {
                            <span class="tm-subtle">{ i18n.t("scope.opens-part") }</span>
                        }
                    </li>
                }) }
            </ul>
        </details>
    }
}

/// Returns the services, each with the words by which it is found.
fn services(routes: &[RouteView]) -> BTreeMap<String, String> {
    let mut services = BTreeMap::<String, String>::new();
    for route in routes {
        if let Some(service) = route.path.service() {
            services.entry(service.to_owned()).or_default().push_str(&words_of(route));
        }
    }
    services
}

/// Returns the words by which a route is found: its name, path and tags.
fn words_of(route: &RouteView) -> String {
    format!("{} {} {} ", route.name, route.path.as_str(), route.tags.join(" ")).to_lowercase()
}

fn tags(routes: &[RouteView]) -> BTreeSet<String> {
    routes.iter().flat_map(|route| route.tags.iter().cloned()).collect()
}

fn is_inside(scope: &str, cap: Option<&[String]>) -> bool {
    let (Some(cap), Ok(scope)) = (cap, scope.parse::<Scope>()) else { return true };
    cap.iter().filter_map(|bound| bound.parse::<Scope>().ok()).any(|bound| bound.contains(&scope))
}

/// Returns a route's scope by the route's path, which says more than its id.
pub fn name_of(scope: &str, routes: &[RouteView]) -> String {
    let id = scope.strip_prefix("route:");
    let route = id.and_then(|id| routes.iter().find(|route| route.id.as_str() == id));
    route.map_or_else(|| scope.to_owned(), |route| route.path.as_str().to_owned())
}

/// Whether a scope matches no route.
pub fn is_stale(scope: &str, routes: &[RouteView]) -> bool {
    let Ok(scope) = scope.parse::<Scope>() else { return true };
    !routes.iter().filter_map(rule_of).any(|rule| scope.reach(&rule) > Reach::Nothing)
}

/// Returns the routes that any of `scopes` opens, each with the widest reach of them.
pub fn opened<'a>(scopes: &[String], routes: &'a [RouteView]) -> Vec<(&'a RouteView, Reach)> {
    let scopes: Vec<Scope> = scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
    let reach = |view: &'a RouteView| {
        let rule = rule_of(view)?;
        let reach = scopes.iter().map(|scope| scope.reach(&rule)).max().unwrap_or(Reach::Nothing);
        (reach > Reach::Nothing).then_some((view, reach))
    };
    routes.iter().filter_map(reach).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Vec<RouteView> {
        serde_json::from_value(serde_json::json!([
            {"id":"rte_1","name":"OpenAI","path":"/api/openai","description":null,"tags":["ai"],"methods":[],
             "enabled":true,"created_at":0,"updated_at":0,"version":1},
            {"id":"rte_2","name":"Echo","path":"/api/demo","description":null,"tags":["demo"],"methods":["GET"],
             "enabled":true,"created_at":0,"updated_at":0,"version":1}]))
        .unwrap()
    }

    #[test]
    fn a_selection_says_which_routes_it_opens() {
        let paths = |scopes: &[&str]| -> Vec<String> {
            let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
            opened(&scopes, &routes()).iter().map(|(route, _)| route.path.as_str().to_owned()).collect()
        };
        assert_eq!(paths(&["tag:ai"]), ["/api/openai"]);
        assert_eq!(paths(&["*"]), ["/api/openai", "/api/demo"]);
        assert_eq!(paths(&["POST /api/*"]), ["/api/openai"]);
        assert!(paths(&["nothing"]).is_empty());
        assert!(is_stale("nothing", &routes()) && !is_stale("route:rte_2", &routes()));
        assert_eq!(name_of("route:rte_2", &routes()), "/api/demo");
    }

    #[test]
    fn a_scope_outside_the_teams_cap_cannot_be_chosen() {
        let cap = ["openai".to_owned()];
        assert!(is_inside("openai", Some(&cap)) && is_inside("GET /api/openai/models", Some(&cap)));
        assert!(!is_inside("*", Some(&cap)) && !is_inside("tag:ai", Some(&cap)));
        assert!(is_inside("*", None));
    }
}
