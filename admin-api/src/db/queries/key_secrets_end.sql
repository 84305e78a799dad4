-- Ends all secrets except the new one, ?3, and only if that exists. An earlier end stays: a second rotation must
-- not lengthen the first one's grace period.
UPDATE api_key_secrets SET ends_at = ?2
WHERE key_id = ?1 AND hash <> ?3 AND (ends_at IS NULL OR ends_at > ?2)
    AND EXISTS (SELECT 1 FROM api_key_secrets WHERE hash = ?3)
