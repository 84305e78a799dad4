-- What an invitation offers, team by team, and whether its inviter could still give it: `Action::assignment` of
-- `domain::role`, which a test holds this against. Authority is asked for when an invitation is accepted, not
-- only when it is made.
CREATE VIEW invitation_parts AS
SELECT t.invitation_id, t.team_id, t.role, i.email, i.state, i.invited_by, i.expires_at,
    EXISTS (SELECT 1 FROM memberships AS m JOIN users AS u ON u.id = m.user_id
        WHERE m.user_id = i.invited_by AND u.deleted_at IS NULL
            AND ((m.team_id = 'core-team' AND m.role = 'ADMIN')
                OR (m.team_id = t.team_id
                    AND (m.role = 'ADMIN' OR (m.role = 'MANAGER' AND t.role IN ('VIEWER', 'DEVELOPER')))))) AS stands
FROM invitations AS i JOIN invitation_teams AS t ON t.invitation_id = i.id;

-- A person's open invitations, for when they lose a role.
CREATE INDEX invitations_by_inviter ON invitations (invited_by) WHERE state IN ('pending', 'expired');
-- A person's tokens, for the same.
CREATE INDEX tokens_by_maker ON tokens (created_by, team_id) WHERE revoked_at IS NULL AND created_by IS NOT NULL;

-- Asked for by the id alone, newest first.
DROP INDEX audit_by_entity;
CREATE INDEX audit_by_entity ON audit (entity_id, at, id) WHERE entity_id IS NOT NULL;
