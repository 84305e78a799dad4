-- ?1 address · ?2 now
UPDATE invitations SET state = 'accepted', accepted_at = ?2
WHERE email = ?1 COLLATE NOCASE AND state = 'pending' AND expires_at > ?2
    AND EXISTS (SELECT 1 FROM users AS u
        WHERE u.email = invitations.email COLLATE NOCASE AND u.email_verified = 1 AND u.deleted_at IS NULL)
