use super::*;

fn caller(team: &str, role: Role) -> Caller {
    Caller::new("u1".into(), vec![Membership { team: team.into(), role }])
}

fn can(caller: &Caller, action: Action, created_by: &str) -> Result<(), Refusal> {
    let (team, maker) = (TeamId::from("ops"), UserId::from(created_by));
    authorize(caller, action, Subject::owned(&team, Some(&maker)))
}

/// The whole matrix, written out: V D M A in the team, then in core-team, then in another team.
#[test]
fn the_matrix_is_pinned() {
    let letters = |action, team: &str| -> String {
        let letter = |role| match can(&caller(team, role), action, "somebody") {
            Ok(()) => 'y',
            Err(Refusal::Forbidden) => 'f',
            Err(Refusal::Invisible) => '-',
        };
        Role::ALL.into_iter().map(letter).collect()
    };
    for (action, in_team, in_core, elsewhere) in [
        (Action::ReadSelf, "yyyy", "yyyy", "yyyy"),
        (Action::ReadToken, "yyyy", "yyyy", "----"),
        (Action::CreateToken, "fyyy", "fffy", "----"),
        (Action::ChangeToken, "ffyy", "fffy", "----"),
        (Action::LoosenLimits, "ffyy", "fffy", "----"),
        (Action::ReadRoute, "yyyy", "yyyy", "yyyy"),
        (Action::ReadUpstream, "ffff", "yyyy", "ffff"),
        (Action::WriteRoute, "ffff", "fyyy", "ffff"),
        (Action::SetCredential, "ffff", "ffyy", "ffff"),
        (Action::DeleteRoute, "ffff", "fffy", "ffff"),
        (Action::TestRoute, "ffff", "fyyy", "ffff"),
        (Action::ReadUsage, "yyyy", "yyyy", "----"),
        (Action::ReadTeam, "yyyy", "yyyy", "----"),
        (Action::CreateTeam, "ffff", "fffy", "ffff"),
        (Action::EditTeam, "fffy", "fffy", "----"),
        (Action::SetScopeCap, "ffff", "fffy", "----"),
        (Action::DeleteTeam, "ffff", "fffy", "----"),
        (Action::AssignJunior, "ffyy", "fffy", "----"),
        (Action::AssignSenior, "fffy", "fffy", "----"),
        (Action::ReadPeople, "ffff", "fffy", "ffff"),
        (Action::ReadAudit, "ffyy", "ffyy", "ffff"),
        (Action::ReadPublication, "ffff", "yyyy", "ffff"),
        (Action::Reconcile, "ffff", "fffy", "ffff"),
        (Action::SetPrices, "ffff", "fffy", "ffff"),
        (Action::Import, "ffff", "fffy", "ffff"),
        (Action::CreateKey, "yyyy", "yyyy", "yyyy"),
        (Action::ReadKey, "----", "--yy", "----"),
        (Action::RotateKey, "----", "--ff", "----"),
        (Action::RevokeKey, "----", "--yy", "----"),
        (Action::ReadChannel, "fffy", "ffyy", "----"),
        (Action::ManageChannels, "fffy", "ffyy", "----"),
    ] {
        assert_eq!(
            [letters(action, "ops"), letters(action, "core-team"), letters(action, "other")],
            [in_team, in_core, elsewhere],
            "{action:?}"
        );
    }
}

#[test]
fn the_teams_of_an_action_are_those_where_the_role_is_enough() {
    let mut both = caller("ops", Role::Manager);
    both.memberships.push(Membership { team: "web".into(), role: Role::Viewer });
    assert_eq!(both.teams_for(Action::ReadAudit), Some(vec![&TeamId::from("ops")]));
    assert_eq!(both.teams_for(Action::ReadToken).map(|teams| teams.len()), Some(2));
    assert_eq!(caller("core-team", Role::Manager).teams_for(Action::ReadAudit), None);
    let core_viewer = caller("core-team", Role::Viewer);
    assert_eq!(core_viewer.teams_for(Action::ReadAudit), Some(vec![]));
}

#[test]
fn developers_may_change_what_they_made() {
    let developer = caller("ops", Role::Developer);
    assert_eq!(can(&developer, Action::ChangeToken, "u1"), Ok(()));
    assert_eq!(can(&developer, Action::ChangeToken, "u2"), Err(Refusal::Forbidden));
    assert_eq!(can(&caller("ops", Role::Viewer), Action::ChangeToken, "u1"), Err(Refusal::Forbidden));
    assert_eq!(can(&caller("other", Role::Admin), Action::ChangeToken, "u1"), Err(Refusal::Invisible));
}

/// Parity fault 7: a MANAGER could demote an ADMIN through the membership endpoint.
#[test]
fn managers_assign_below_themselves_only() {
    use Role::{Admin, Developer, Manager, Viewer};
    for (present, new, wanted) in [
        (None, Some(Viewer), Action::AssignJunior),
        (Some(Developer), None, Action::AssignJunior),
        (Some(Viewer), Some(Developer), Action::AssignJunior),
        (Some(Viewer), Some(Manager), Action::AssignSenior),
        (Some(Admin), Some(Viewer), Action::AssignSenior),
        (Some(Manager), None, Action::AssignSenior),
        (None, Some(Admin), Action::AssignSenior),
    ] {
        assert_eq!(Action::assignment(present, new), wanted, "{present:?} to {new:?}");
    }
}

/// Parity fault 7: an ADMIN of any team could reach `core-team`.
#[test]
fn the_admin_of_a_team_reaches_no_other_team() {
    let admin = caller("ops", Role::Admin);
    let core = TeamId::from(crate::id::CORE_TEAM);
    for action in [Action::EditTeam, Action::AssignSenior, Action::AssignJunior, Action::ReadTeam] {
        assert_eq!(authorize(&admin, action, Subject::team(&core)), Err(Refusal::Invisible), "{action:?}");
    }
}

/// Parity fault 6: every signed-in account saw everything.
#[test]
fn a_person_without_a_team_may_do_nothing_but_end_their_keys() {
    let nobody = Caller::new("u1".into(), vec![]);
    for action in Action::ALL.into_iter().filter(|action| *action != Action::ReadSelf) {
        let own = if action.rule().maker { Ok(()) } else { Err(Refusal::Invisible) };
        assert_eq!(can(&nobody, action, "u1"), own, "{action:?}");
        assert_eq!(can(&nobody, action, "u2"), Err(Refusal::Invisible), "{action:?}");
    }
    assert_eq!(nobody.visible_teams(), Some(vec![]));
}
