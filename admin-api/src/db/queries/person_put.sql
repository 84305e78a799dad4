-- What Clerk says of a person, unless we have it newer, or he is gone. ?9 Clerk's time of it
INSERT INTO users (id, email, email_verified, name, avatar_url, last_sign_in_at, created_at, updated_at, clerk_updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (id) DO UPDATE SET
    email = excluded.email, email_verified = excluded.email_verified, name = excluded.name,
    avatar_url = excluded.avatar_url, last_sign_in_at = coalesce(excluded.last_sign_in_at, last_sign_in_at),
    updated_at = excluded.updated_at, clerk_updated_at = excluded.clerk_updated_at
WHERE excluded.clerk_updated_at >= clerk_updated_at AND deleted_at IS NULL
