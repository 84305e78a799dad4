-- An entry for each team from which person ?1 is removed because they have been deleted.
INSERT INTO audit (id, at, actor, action, result, entity, entity_id, team_id, before, request_id)
SELECT 'aud_' || lower(hex(randomblob(12))), ?2, 'system', 'remove-member', 'done', 'user', user_id, team_id,
    json_object('role', role), ?3
FROM memberships
WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM users WHERE id = ?1 AND deleted_at IS NOT NULL)
