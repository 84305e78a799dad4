-- Opens notifications for the live tokens that person ?1 made and may no longer change. ?2 now · ?3 the teams in which
-- they lost their role, as JSON; NULL if they are deleted: their memberships still exist then · ?4 whether it was a
-- role in all teams
INSERT INTO notifications (kind, subject, team_id, details, created_at, updated_at)
SELECT 'token-unattended', t.id, t.team_id, json_object('name', t.name, 'person', coalesce(u.name, u.email, u.id)), ?2, ?2
FROM tokens AS t JOIN users AS u ON u.id = t.created_by
WHERE t.created_by = ?1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?2)
    AND (?3 IS NULL OR t.team_id IN (SELECT value FROM json_each(?3)) OR ?4)
    AND (?3 IS NULL AND u.deleted_at IS NOT NULL) = EXISTS (SELECT 1 FROM memberships AS m
        WHERE m.user_id = ?1 AND ((m.team_id = 'core-team' AND m.role = 'ADMIN')
            OR (m.team_id = t.team_id AND m.role IN ('DEVELOPER', 'MANAGER', 'ADMIN'))))
ON CONFLICT (kind, subject) DO UPDATE SET
    details = excluded.details, created_at = excluded.created_at, updated_at = excluded.updated_at, resolved_at = NULL
WHERE resolved_at IS NOT NULL
