-- Ends all secrets except the newest, ?3, and only if the statement before it changed something: that made the newest, or
-- noted this. An earlier end stays: a second rotation must not lengthen the first one's grace period.
UPDATE token_secrets SET ends_at = ?2
WHERE token_id = ?1 AND hash <> ?3 AND (ends_at IS NULL OR ends_at > ?2) AND changes() > 0
