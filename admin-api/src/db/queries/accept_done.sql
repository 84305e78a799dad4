-- ?1 addresses as JSON · ?2 now · ?3 as in accept_memberships.sql
UPDATE invitations SET state = 'accepted', accepted_at = ?2
WHERE email IN (SELECT value FROM json_each(?1)) AND state = 'pending' AND expires_at > ?2
    AND EXISTS (SELECT 1 FROM users AS u
        WHERE u.email = invitations.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL
            AND (?3 IS NULL OR EXISTS (SELECT 1 FROM memberships AS s
                WHERE s.user_id = u.id AND s.team_id IN (SELECT value FROM json_each(?3)))))
