-- The person and their roles at once. One row with no user if they are not known; one row with no team if they
-- have none. `invited`: an invitation waits for their address. ?2 now
SELECT u.id AS user_id, u.email, u.email_verified, u.deleted_at, u.clerk_updated_at, u.asked_at, m.team_id, m.role,
    EXISTS (SELECT 1 FROM invitations AS i
        WHERE i.email = u.email COLLATE NOCASE AND i.state = 'pending' AND i.expires_at > ?2
            AND u.email_verified = 1) AS invited
FROM (SELECT ?1 AS id) AS asked
LEFT JOIN users AS u ON u.id = asked.id
LEFT JOIN memberships AS m ON m.user_id = u.id
