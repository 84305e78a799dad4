-- What the cron deletes is found by its time, not by walking the table each minute.
CREATE INDEX token_secrets_by_end ON token_secrets (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX tokens_by_revocation ON tokens (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX notifications_by_resolution ON notifications (resolved_at) WHERE resolved_at IS NOT NULL;
-- Invitations that wait, few of all there ever were: those to be sent, and those to expire.
CREATE INDEX invitations_pending ON invitations (expires_at) WHERE state = 'pending';
-- The open ones of a kind, beside the many that were resolved within a month.
CREATE INDEX notifications_open_by_kind ON notifications (kind) WHERE resolved_at IS NULL;
