//! Proof that one action was authorised, as a type: a function that needs another one does not compile.

use super::role::{Action, Caller, Refusal, Role, Subject, authorize};
use crate::id::{KeyId, TeamId, UserId};
use std::marker::PhantomData;

/// An action that [`Grant::ask`] can give.
pub trait Permission {
    /// The action that a grant of this type allows.
    const ACTION: Action;
}

macro_rules! permissions {
    ($($name:ident),+ $(,)?) => {$(
        #[doc = concat!("Names [`Action::", stringify!($name), "`] in a [`Grant`].")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl Permission for $name {
            const ACTION: Action = Action::$name;
        }
    )+};
}

permissions!(
    CreateToken,
    ChangeToken,
    WriteRoute,
    SetCredential,
    DeleteRoute,
    CreateTeam,
    EditTeam,
    SetScopeCap,
    DeleteTeam,
    ReadPeople,
    Reconcile,
    Import,
    SetPrices,
    CreateKey,
    RotateKey,
    RevokeKey,
    ManageChannels,
);

/// Names the change of a person's role in a [`Grant`]: [`Action::AssignJunior`] or [`Action::AssignSenior`],
/// whichever the roles ask for. Only [`Grant::assign`] gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assign;

/// Proof that the action `A` was authorised. Every function that writes to D1 on a caller's behalf requires one.
///
/// One for another action does not compile:
///
/// ```compile_fail
/// use domain::people::grant::{DeleteRoute, Grant, WriteRoute};
/// fn delete(_: &Grant<DeleteRoute>) {}
/// fn handler(grant: Grant<WriteRoute>) {
///     delete(&grant);
/// }
/// ```
///
/// The one for it does:
///
/// ```
/// use domain::people::grant::{DeleteRoute, Grant};
/// fn delete(_: &Grant<DeleteRoute>) {}
/// fn handler(grant: Grant<DeleteRoute>) {
///     delete(&grant);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<A> {
    actor: UserId,
    key: Option<KeyId>,
    action: PhantomData<A>,
}

impl<A> Grant<A> {
    /// The person who may act, by themselves or by a key that they made.
    pub fn actor(&self) -> &UserId {
        &self.actor
    }

    /// Returns the actor's name in the audit log: the key that acts for a person, or the person.
    pub fn signature(&self) -> &str {
        self.key.as_ref().map_or(self.actor.as_str(), KeyId::as_str)
    }

    fn to(caller: &Caller) -> Self {
        let key = caller.key.as_ref().map(|key| key.id.clone());
        Self { actor: caller.user.clone(), key, action: PhantomData }
    }
}

impl<A: Permission> Grant<A> {
    /// Decides the action. Default deny.
    pub fn ask(caller: &Caller, subject: Subject) -> Result<Self, Refusal> {
        authorize(caller, A::ACTION, subject).map(|()| Self::to(caller))
    }
}

impl Grant<Assign> {
    /// Decides the change of a person's role in `team` from `present` to `new`; `None` is not being in it.
    pub fn assign(
        caller: &Caller,
        team: &TeamId,
        present: Option<Role>,
        new: Option<Role>,
    ) -> Result<Self, Refusal> {
        authorize(caller, Action::assignment(present, new), Subject::team(team)).map(|()| Self::to(caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::role::Membership;

    #[test]
    fn a_grant_is_given_by_the_matrix_alone() {
        let team = TeamId::from("ops");
        let caller = |role| Caller::new("u1".into(), vec![Membership { team: team.clone(), role }]);
        let (developer, manager) = (caller(Role::Developer), caller(Role::Manager));
        let granted = Grant::<CreateToken>::ask(&developer, Subject::team(&team)).unwrap();
        assert_eq!(granted.actor().as_str(), "u1");
        assert_eq!(Grant::<SetPrices>::ask(&developer, Subject::default()), Err(Refusal::Forbidden));
        assert!(Grant::assign(&manager, &team, None, Some(Role::Developer)).is_ok());
        assert_eq!(Grant::assign(&manager, &team, None, Some(Role::Admin)), Err(Refusal::Forbidden));
        assert_eq!(Grant::assign(&manager, &team, Some(Role::Admin), None), Err(Refusal::Forbidden));
    }
}
