-- The key of a secret, with its maker and their roles: one row for each membership, or one without a team. A maker
-- who was deleted has no row.
SELECT k.id, k.made_by, k.roles, k.read_only, k.may, k.ip_allow, k.expires_at, k.revoked_at, k.last_used_at,
    s.ends_at, m.team_id, m.role
FROM api_key_secrets AS s
JOIN api_keys AS k ON k.id = s.key_id
JOIN users AS u ON u.id = k.made_by AND u.deleted_at IS NULL
LEFT JOIN memberships AS m ON m.user_id = k.made_by
WHERE s.hash = ?1
