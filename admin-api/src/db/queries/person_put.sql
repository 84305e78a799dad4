-- Stores Clerk's description of a person, unless a newer one is stored or they are deleted. ?9 Clerk's time of it.
-- An address that another person has by a later description is not theirs: messages may come in any order.
INSERT INTO users (id, email, email_verified, name, avatar_url, last_sign_in_at, created_at, updated_at, clerk_updated_at)
VALUES (?1, ?2, ?3 AND NOT EXISTS (SELECT 1 FROM users AS o
        WHERE o.email = ?2 COLLATE NOCASE AND o.id <> ?1 AND o.email_verified = 1
            AND (o.clerk_updated_at, o.id) > (?9, ?1)),
    ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (id) DO UPDATE SET
    email = excluded.email, email_verified = excluded.email_verified, name = excluded.name,
    avatar_url = excluded.avatar_url, last_sign_in_at = coalesce(excluded.last_sign_in_at, last_sign_in_at),
    updated_at = excluded.updated_at, clerk_updated_at = excluded.clerk_updated_at
WHERE excluded.clerk_updated_at >= clerk_updated_at AND deleted_at IS NULL
