-- `tried_at` is now: the request that makes it also sends it, and the cron tries only after a while.
INSERT INTO invitations (id, email, invited_by, created_at, tried_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
