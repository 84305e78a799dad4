-- ?2 now
SELECT k.id, k.name, k.made_by, coalesce(u.name, u.email) AS maker_name, u.deleted_at AS maker_gone_at,
    k.roles, k.read_only, k.may, k.ip_allow, k.created_at, k.expires_at, k.revoked_at, k.last_used_at, k.version,
    (SELECT json_group_array(json_object('team', m.team_id, 'role', m.role))
        FROM memberships AS m WHERE m.user_id = k.made_by) AS held,
    (SELECT json_object('start', s.hint_start, 'end', s.hint_end)
        FROM api_key_secrets AS s WHERE s.key_id = k.id ORDER BY s.created_at DESC, s.hash LIMIT 1) AS hint,
    (SELECT count(*) FROM api_key_secrets AS s
        WHERE s.key_id = k.id AND (s.ends_at IS NULL OR s.ends_at > ?2)) AS working
FROM api_keys AS k JOIN users AS u ON u.id = k.made_by
WHERE k.id = ?1
