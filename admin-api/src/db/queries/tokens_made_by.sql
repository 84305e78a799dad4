-- Live tokens that person ?1 made, in teams ?2 (JSON). ?3 now
SELECT count(*) AS tokens
FROM tokens
WHERE created_by = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)
    AND team_id IN (SELECT value FROM json_each(?2))
