-- Highest role first. ?1 team · ?2, ?3 rank and id of the last row seen · ?4 limit · ?5 now
SELECT u.id, u.email, u.name, u.avatar_url, m.role, m.created_at AS since,
    (SELECT count(*) FROM tokens AS k
        WHERE k.created_by = u.id AND k.team_id = m.team_id AND k.revoked_at IS NULL
            AND (k.expires_at IS NULL OR k.expires_at > ?5)) AS live_tokens,
    CASE m.role WHEN 'ADMIN' THEN 0 WHEN 'MANAGER' THEN 1 WHEN 'DEVELOPER' THEN 2 ELSE 3 END AS rank
FROM memberships AS m JOIN users AS u ON u.id = m.user_id
WHERE m.team_id = ?1 AND u.deleted_at IS NULL AND (rank, u.id) > (?2, ?3)
ORDER BY rank, u.id
LIMIT ?4
