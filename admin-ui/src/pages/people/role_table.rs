//! A role for each team of a person.

use crate::components::{Select, role_name};
use crate::i18n::use_i18n;
use crate::state::session::{can, use_me};
use contract::teams::TeamView;
use domain::id::TeamId;
use domain::people::role::{Action, Role, Subject};
use std::collections::BTreeMap;
use std::rc::Rc;
use yew::prelude::*;

pub type Roles = BTreeMap<TeamId, Role>;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct RoleTableProps {
    pub teams: Rc<Vec<TeamView>>,
    /// The current roles.
    #[prop_or_default]
    pub present: Roles,
    /// The roles to be set.
    pub roles: Roles,
    pub on_change: Callback<Roles>,
}

/// A row for each team in which the caller may assign a role. A row offers the roles that they may give
/// there; the API decides with the same function.
#[component]
pub fn RoleTable(props: &RoleTableProps) -> Html {
    let i18n = use_i18n();
    let me = use_me();
    let may = |team: &TeamId, new: Option<Role>| {
        let present = props.present.get(team).copied();
        new == present || can(&me, Action::assignment(present, new), Subject::team(team))
    };
    let teams: Vec<_> = props
        .teams
        .iter()
        .filter(|team| {
            props.present.contains_key(&team.id) || can(&me, Action::AssignJunior, Subject::team(&team.id))
        })
        .collect();
    let options = |offered: &dyn Fn(Option<Role>) -> bool| {
        let mut options = vec![];
        if offered(None) {
            options.push((AttrValue::Static(""), i18n.t("roles.none")));
        }
        for role in Role::ALL.into_iter().filter(|role| offered(Some(*role))) {
            options.push((AttrValue::Static(role.as_str()), role_name(&i18n, role)));
        }
        options
    };
    let rows = teams.iter().map(|team| {
        let on_change = {
            let (roles, id) = (props.roles.clone(), team.id.clone());
            props.on_change.reform(move |name: String| {
                let mut roles = roles.clone();
                set(&mut roles, &id, role_of(&name));
                roles
            })
        };
        html! {
            <li key={team.id.to_string()} class="tm-role-row">
                <span>{ &team.name }</span>
                <Select
                    label={i18n.fill("roles.in-team", &[("team", &team.name)])}
                    options={options(&|role| may(&team.id, role))}
                    value={props.roles.get(&team.id).map_or("", |role| role.as_str())}
                    {on_change}
                />
            </li>
        }
    });
    let on_all = {
        let ids: Vec<TeamId> = teams.iter().map(|team| team.id.clone()).collect();
        let (roles, present, me) = (props.roles.clone(), props.present.clone(), me.clone());
        props.on_change.reform(move |name: String| {
            let (mut roles, role) = (roles.clone(), role_of(&name));
            for id in &ids {
                if can(&me, Action::assignment(present.get(id).copied(), role), Subject::team(id)) {
                    set(&mut roles, id, role);
                }
            }
            roles
        })
    };
    let mut all = vec![(AttrValue::Static("-"), i18n.t("roles.choose"))];
    all.extend(options(&|role| role.is_none() || teams.iter().any(|team| may(&team.id, role))));
    html! {
        <div class="tm-form">
            if teams.len() > 1 {
                <div class="tm-role-row">
                    <strong>{ i18n.t("roles.in-all") }</strong>
                    <Select label={i18n.t("roles.in-all")} options={all} value="-" on_change={on_all} />
                </div>
            }
            <ul class="tm-roles" role="list">{ for rows }</ul>
        </div>
    }
}

fn role_of(name: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.as_str() == name)
}

fn set(roles: &mut Roles, team: &TeamId, role: Option<Role>) {
    match role {
        Some(role) => roles.insert(team.clone(), role),
        None => roles.remove(team),
    };
}

/// Returns the changes from `present` to `wanted`: the teams by the role to set, and the teams to be removed from.
pub fn changes(present: &Roles, wanted: &Roles) -> (BTreeMap<Role, Vec<TeamId>>, Vec<TeamId>) {
    let mut sets: BTreeMap<Role, Vec<TeamId>> = BTreeMap::new();
    for (team, role) in wanted.iter().filter(|(team, role)| present.get(*team) != Some(*role)) {
        sets.entry(*role).or_default().push(team.clone());
    }
    let leaves = present.keys().filter(|team| !wanted.contains_key(*team)).cloned().collect();
    (sets, leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_takes_one_call_and_a_kept_role_none() {
        let roles =
            |pairs: &[(&str, Role)]| -> Roles { pairs.iter().map(|(t, r)| (TeamId::from(*t), *r)).collect() };
        let present = roles(&[("a", Role::Viewer), ("b", Role::Viewer), ("c", Role::Admin)]);
        let wanted = roles(&[("a", Role::Developer), ("b", Role::Viewer), ("d", Role::Developer)]);
        let (sets, leaves) = changes(&present, &wanted);
        assert_eq!(sets.len(), 1);
        assert_eq!(sets[&Role::Developer], ["a".into(), "d".into()]);
        assert_eq!(leaves, ["c".into()]);
    }
}
