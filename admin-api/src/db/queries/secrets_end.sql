-- Ends all secrets except the new one, ?3, and only if that exists. An earlier end stays: a second rotation must
-- not lengthen the first one's grace period.
UPDATE token_secrets SET ends_at = ?2
WHERE token_id = ?1 AND hash <> ?3 AND (ends_at IS NULL OR ends_at > ?2)
    AND EXISTS (SELECT 1 FROM token_secrets WHERE hash = ?3)
