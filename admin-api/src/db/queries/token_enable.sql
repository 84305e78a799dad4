-- ?3 the version that `If-Match` named, or NULL · ?4 the person who had disabled it when permission was given
UPDATE tokens SET disabled_at = NULL, disabled_by = NULL, updated_at = ?2, version = version + 1
WHERE id = ?1 AND disabled_at IS NOT NULL AND disabled_by IS ?4 AND revoked_at IS NULL AND (?3 IS NULL OR version = ?3)
