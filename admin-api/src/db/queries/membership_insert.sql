-- Only if the person is not in the team yet and has not been deleted.
INSERT INTO memberships (user_id, team_id, role, created_at)
SELECT ?1, ?2, ?3, ?4
WHERE EXISTS (SELECT 1 FROM users WHERE id = ?1 AND deleted_at IS NULL)
    AND EXISTS (SELECT 1 FROM teams WHERE id = ?2 AND deleted_at IS NULL)
ON CONFLICT (user_id, team_id) DO NOTHING
