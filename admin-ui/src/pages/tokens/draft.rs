//! A token as it is typed in, and the fields that both of its forms have.

use crate::components::{
    CheckField, DraftField, Form, LimitsDraft, LimitsFields, TextAreaField, changed, filled, switch,
};
use crate::i18n::I18n;
use contract::teams::TeamView;
use contract::tokens::{CreateTokenRequest, TokenView, UpdateTokenRequest};
use domain::limit::Limits;
use yew::prelude::*;

/// The form as it is typed in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    pub name: String,
    /// Empty until one is chosen. It never changes later.
    pub team: String,
    pub description: String,
    pub scopes: Vec<String>,
    /// Empty means never. Only a new token has it.
    pub days: String,
    /// One address or network a line.
    pub ip_allow: String,
    pub limits: LimitsDraft,
    pub injects_faults: bool,
    pub may_derive: bool,
}

impl Draft {
    pub fn of(token: &TokenView) -> Self {
        Self {
            name: token.name.clone(),
            team: token.team_id.to_string(),
            description: token.description.clone().unwrap_or_default(),
            scopes: token.scopes.clone(),
            days: String::new(),
            ip_allow: token.ip_allow.join("\n"),
            limits: LimitsDraft::of(&token.limits),
            injects_faults: token.inject_faults,
            may_derive: token.may_derive,
        }
    }

    /// Returns the same draft for the first team until one is chosen, as the list shows it.
    pub fn for_teams(&self, teams: &[TeamView]) -> Self {
        let first = || teams.first().map(|team| team.id.to_string()).unwrap_or_default();
        let team = if self.team.is_empty() { first() } else { self.team.clone() };
        Self { team, ..self.clone() }
    }

    pub fn create(&self) -> CreateTokenRequest {
        CreateTokenRequest {
            name: self.name.clone(),
            team_id: self.team.as_str().into(),
            description: filled(&self.description),
            scopes: self.scopes.clone(),
            // Unparsable input becomes an out-of-range value, so validation reports it.
            expires_days: (!self.days.is_empty()).then(|| self.days.parse().unwrap_or(-1)),
            expires_at: None,
            ip_allow: lines(&self.ip_allow),
            limits: Some(self.limits.limits()).filter(|limits| !limits.is_empty()),
            inject_faults: self.injects_faults,
            may_derive: self.may_derive,
        }
    }

    /// Names only the fields that differ from `token`.
    pub fn update(&self, token: &TokenView) -> UpdateTokenRequest {
        let (old, new) = (Self::of(token).create(), self.create());
        UpdateTokenRequest {
            name: changed(&old.name, new.name),
            description: changed(&old.description, new.description),
            scopes: changed(&old.scopes, new.scopes),
            ip_allow: changed(&old.ip_allow, new.ip_allow),
            limits: changed(&old.limits, new.limits),
            inject_faults: changed(&old.inject_faults, new.inject_faults),
            may_derive: changed(&old.may_derive, new.may_derive),
            ..UpdateTokenRequest::default()
        }
    }
}

/// The fields of a token that exists.
pub const FIELDS: &[DraftField<Draft>] = &[
    DraftField {
        label: |i18n| i18n.t("token.name"),
        text: |_, draft| draft.name.clone(),
        take: |draft, from| draft.name.clone_from(&from.name),
    },
    DraftField {
        label: |i18n| i18n.t("token.scopes"),
        text: |_, draft| draft.scopes.join(", "),
        take: |draft, from| draft.scopes.clone_from(&from.scopes),
    },
    DraftField {
        label: |i18n| i18n.t("token.description"),
        text: |_, draft| draft.description.clone(),
        take: |draft, from| draft.description.clone_from(&from.description),
    },
    DraftField {
        label: |i18n| i18n.t("token.ip-allow"),
        text: |_, draft| lines(&draft.ip_allow).join(", "),
        take: |draft, from| draft.ip_allow.clone_from(&from.ip_allow),
    },
    DraftField {
        label: |i18n| i18n.t("limit.title"),
        text: |i18n, draft| draft.limits.text(i18n),
        take: |draft, from| draft.limits.clone_from(&from.limits),
    },
    DraftField {
        label: |i18n| i18n.t("token.may-derive"),
        text: |i18n, draft| switch(i18n, draft.may_derive),
        take: |draft, from| draft.may_derive = from.may_derive,
    },
    DraftField {
        label: |i18n| i18n.t("token.faults"),
        text: |i18n, draft| switch(i18n, draft.injects_faults),
        take: |draft, from| draft.injects_faults = from.injects_faults,
    },
];

/// Returns the lines that are not blank.
fn lines(text: &str) -> Vec<String> {
    text.lines().filter_map(filled).collect()
}

/// The fields after the scopes. `defaults` are the team's limits.
pub fn more_fields(i18n: &I18n, form: &Form<Draft>, defaults: Limits) -> Html {
    let draft = form.draft();
    html! {
        <>
            <TextAreaField
                label={i18n.t("token.description")}
                value={draft.description.clone()}
                on_change={form.set(|draft, text| draft.description = text)}
                error={form.error("description")}
            />
            <TextAreaField
                label={i18n.t("token.ip-allow")}
                value={draft.ip_allow.clone()}
                on_change={form.set(|draft, text| draft.ip_allow = text)}
                help={i18n.t("token.ip-allow-help")}
                error={form.error_within("ip_allow")}
            />
            <LimitsFields
                draft={draft.limits.clone()}
                on_change={form.set(|draft, limits| draft.limits = limits)}
                {defaults}
                help={i18n.t("limit.token-help")}
                errors={form.errors.clone()}
            />
            <CheckField
                label={i18n.t("token.may-derive")}
                is_checked={draft.may_derive}
                on_change={form.set(|draft, is_on| draft.may_derive = is_on)}
                help={i18n.t("token.may-derive-help")}
            />
            <CheckField
                label={i18n.t("token.faults")}
                is_checked={draft.injects_faults}
                on_change={form.set(|draft, is_on| draft.injects_faults = is_on)}
                help={i18n.t("token.faults-help")}
            />
        </>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Parity fault 4: an empty selection in the scope picker saved `*`.
    #[test]
    fn an_empty_selection_is_refused_and_never_becomes_all() {
        let draft = Draft { name: "n".into(), team: "ops".into(), ..Draft::default() };
        assert!(draft.create().scopes.is_empty());
        assert_eq!(draft.create().validate(0).unwrap_err()[0].field, "scopes");
    }

    fn team(id: &str) -> TeamView {
        serde_json::from_value(json!({
            "id": id, "name": id, "limits": {}, "members": 1, "tokens": 0,
            "created_at": 0, "updated_at": 0, "version": 1,
        }))
        .unwrap()
    }

    /// Teams that arrived after the form had opened were shown as chosen and sent as none.
    #[test]
    fn the_first_team_counts_until_one_is_chosen_whenever_the_teams_arrive() {
        let teams: Vec<TeamView> = ["ops", "web"].map(team).to_vec();
        let mut draft = Draft::default();
        assert_eq!(draft.for_teams(&[]).team, "");
        assert_eq!(draft.for_teams(&teams).team, "ops");
        draft.team = "web".into();
        assert_eq!(draft.for_teams(&teams).team, "web");
    }

    #[test]
    fn empty_days_mean_never_and_nonsense_is_refused() {
        let with = |days: &str| Draft {
            name: "n".into(),
            team: "ops".into(),
            scopes: vec!["*".into()],
            days: days.into(),
            ..Draft::default()
        };
        assert_eq!(with("").create().expires_days, None);
        assert_eq!(with("x").create().validate(0).unwrap_err()[0].field, "expires_days");
        assert!(with("90").create().validate(0).is_ok());
    }

    #[test]
    fn networks_are_one_a_line() {
        assert_eq!(lines(" 10.0.0.0/8\n\n1.2.3.4 \n"), ["10.0.0.0/8", "1.2.3.4"]);
    }

    #[test]
    fn an_update_names_only_the_fields_that_differ() {
        let token: TokenView = serde_json::from_value(json!({
            "id":"tok_1","name":"n","team_id":"ops","description":"d","scopes":["*"],"ip_allow":["10.0.0.0/8"],"limits":{"calls_per_day":5},
            "inject_faults":false,"state":"active","created_at":0,"updated_at":0,"version":1}))
        .unwrap();
        let sent = |draft: &Draft| serde_json::to_value(draft.update(&token)).unwrap();
        let draft = Draft::of(&token);
        assert_eq!(sent(&draft), json!({}));
        let other =
            Draft { description: " ".into(), limits: LimitsDraft::default(), may_derive: true, ..draft };
        assert_eq!(sent(&other), json!({"description":null,"limits":null,"may_derive":true}));
    }
}
