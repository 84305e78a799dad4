-- If two accounts have the same verified address, it belongs to the one that Clerk described later: it no longer
-- identifies any other. ?1 the person · ?2 the address
UPDATE users SET email_verified = 0
WHERE email = ?2 COLLATE NOCASE AND id <> ?1 AND email_verified = 1
    AND EXISTS (SELECT 1 FROM users AS n
        WHERE n.id = ?1 AND n.email = ?2 COLLATE NOCASE AND n.email_verified = 1
            AND (n.clerk_updated_at, n.id) > (users.clerk_updated_at, users.id))
