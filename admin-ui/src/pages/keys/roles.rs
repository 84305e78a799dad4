//! The roles of a new key.

use crate::components::{Select, role_name};
use crate::i18n::use_i18n;
use crate::state::session::use_me;
use contract::teams::TeamView;
use domain::id::TeamId;
use domain::people::role::Role;
use std::collections::BTreeMap;
use std::rc::Rc;
use yew::prelude::*;

pub type Roles = BTreeMap<TeamId, Role>;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct KeyRolesProps {
    pub teams: Rc<Vec<TeamView>>,
    pub roles: Roles,
    pub on_change: Callback<Roles>,
}

/// A row for each team in which the caller has a role, offering that role and those below it.
#[component]
pub fn KeyRoles(props: &KeyRolesProps) -> Html {
    let i18n = use_i18n();
    let caller = use_me().caller();
    let rows = props.teams.iter().filter_map(|team| {
        let own = caller.reach(&team.id)?;
        let mut options = vec![(AttrValue::Static(""), i18n.t("roles.none"))];
        let offered = Role::ALL.into_iter().filter(|role| *role <= own);
        options.extend(offered.map(|role| (AttrValue::Static(role.as_str()), role_name(&i18n, role))));
        let (roles, id) = (props.roles.clone(), team.id.clone());
        let on_change = props.on_change.reform(move |name: String| {
            let mut roles = roles.clone();
            match Role::ALL.into_iter().find(|role| role.as_str() == name) {
                Some(role) => roles.insert(id.clone(), role),
                None => roles.remove(&id),
            };
            roles
        });
        Some(html! {
            <li key={team.id.to_string()} class="tm-role-row">
                <span>{ &team.name }</span>
                <Select
                    label={i18n.fill("roles.in-team", &[("team", &team.name)])}
                    {options}
                    value={props.roles.get(&team.id).map_or("", |role| role.as_str())}
                    {on_change}
                />
            </li>
        })
    });
    html! {
        <div class="tm-form">
            <strong>{ i18n.t("keys.roles") }</strong>
            <p class="tm-subtle">{ i18n.t("keys.roles-help") }</p>
            <ul class="tm-roles" role="list">{ for rows }</ul>
        </div>
    }
}
