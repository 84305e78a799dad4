-- Same as audit_list.sql, in the order of the index on one team.
SELECT a.id, a.at, a.actor, coalesce(
        (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = a.actor),
        (SELECT k.name || ' · ' || coalesce(u.name, u.email, u.id)
            FROM api_keys AS k JOIN users AS u ON u.id = k.made_by WHERE k.id = a.actor)) AS actor_name,
    a.action, a.result, a.entity, a.entity_id, a.team_id, a.before, a.after, a.client_ip, a.request_id,
    a.seq, a.previous_hash, a.hash
FROM audit AS a
WHERE a.team_id = ?6
    AND (a.at, a.id) < (?10, ?11) AND a.at >= ?8 AND a.at < ?9
    AND (?1 IS NULL OR a.team_id IN (SELECT value FROM json_each(?1)))
    AND (?2 IS NULL OR a.action = ?2)
    AND (?3 IS NULL OR a.entity = ?3)
    AND (?4 IS NULL OR a.entity_id = ?4)
    AND (?5 IS NULL OR a.actor = ?5)
    AND (?7 IS NULL OR a.result = ?7)
ORDER BY a.at DESC, a.id DESC
LIMIT ?12
