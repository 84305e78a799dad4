-- Clerk's own time of the person's last change: an older message does not overwrite a newer one.
ALTER TABLE users ADD COLUMN clerk_updated_at INTEGER NOT NULL DEFAULT 0;
-- When Clerk was last asked for a person it had not told us of.
ALTER TABLE users ADD COLUMN asked_at INTEGER;

-- When Clerk has sent the invitation; NULL with `clerk_id` NULL is: not sent by Clerk (yet).
ALTER TABLE invitations ADD COLUMN sent_at INTEGER;
ALTER TABLE invitations ADD COLUMN tried_at INTEGER;
ALTER TABLE invitations ADD COLUMN last_error TEXT;
