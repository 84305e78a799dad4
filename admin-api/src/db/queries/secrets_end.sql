-- All but the new one, ?3, and only where that is there. An earlier end stays: a second rotation must
-- not lengthen the first one's grace.
UPDATE token_secrets SET ends_at = ?2
WHERE token_id = ?1 AND hash <> ?3 AND (ends_at IS NULL OR ends_at > ?2)
    AND EXISTS (SELECT 1 FROM token_secrets WHERE hash = ?3)
