-- The parts of a dump that already exist, and teams that were deleted. ?1 teams, ?2 hashes, ?3 paths, as JSON
SELECT 'team' AS kind, id AS subject FROM teams WHERE id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT 'token', hash FROM token_secrets WHERE hash IN (SELECT value FROM json_each(?2))
UNION ALL
SELECT 'route', path FROM routes WHERE path IN (SELECT value FROM json_each(?3))
UNION ALL
SELECT 'deleted-team', id FROM teams WHERE deleted_at IS NOT NULL AND id IN (SELECT value FROM json_each(?1))
