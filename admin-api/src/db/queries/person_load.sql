-- The person and his roles at once. One row with no user where he is not known; one row with no
-- team where he has none.
SELECT u.id AS user_id, u.email, u.email_verified, u.deleted_at, u.clerk_updated_at, u.asked_at, m.team_id, m.role
FROM (SELECT ?1 AS id) AS asked
LEFT JOIN users AS u ON u.id = asked.id
LEFT JOIN memberships AS m ON m.user_id = u.id
