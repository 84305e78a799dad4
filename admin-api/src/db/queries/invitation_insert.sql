-- `tried_at`: whoever makes it sends it himself; only after a while the cron does.
INSERT INTO invitations (id, email, invited_by, created_at, tried_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
