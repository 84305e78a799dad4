-- Every token, called or not. ?1 teams as JSON, NULL means all · ?2 part of the name, NULL means any
SELECT t.id, t.name, t.team_id, t.last_used_at AS last_at
FROM tokens AS t
WHERE (?1 IS NULL OR t.team_id IN (SELECT value FROM json_each(?1)))
    AND (?2 IS NULL OR instr(lower(t.name), lower(?2)) > 0)
