-- Same as audit_list.sql, but only for the teams ?1: the newest of each by its own index, then the newest of those.
SELECT a.id, a.at, a.actor, coalesce(
        (SELECT coalesce(u.name, u.email) FROM users AS u WHERE u.id = a.actor),
        (SELECT k.name || ' · ' || coalesce(u.name, u.email, u.id)
            FROM api_keys AS k JOIN users AS u ON u.id = k.made_by WHERE k.id = a.actor)) AS actor_name,
    a.action, a.result, a.entity, a.entity_id, a.team_id, a.before, a.after, a.client_ip, a.request_id,
    a.seq, a.previous_hash, a.hash
FROM json_each(?1) AS team JOIN audit AS a ON a.seq IN (
    SELECT b.seq FROM audit AS b
    WHERE b.team_id = team.value AND (b.at, b.id) < (?10, ?11) AND b.at >= ?8 AND b.at < ?9
        AND (?2 IS NULL OR b.action = ?2)
        AND (?3 IS NULL OR b.entity = ?3)
        AND (?4 IS NULL OR b.entity_id = ?4)
        AND (?5 IS NULL OR b.actor = ?5)
        AND (?7 IS NULL OR b.result = ?7)
        AND (?6 IS NULL OR b.team_id = ?6)
    ORDER BY b.at DESC, b.id DESC
    LIMIT ?12)
ORDER BY a.at DESC, a.id DESC
LIMIT ?12
