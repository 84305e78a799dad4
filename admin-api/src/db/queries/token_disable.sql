-- ?3 the version that `If-Match` named, or NULL · ?4 the caller · ?5 whether they take over from the person who
-- disabled it before: only callers who could enable it again do
UPDATE tokens SET disabled_at = coalesce(disabled_at, ?2), disabled_by = ?4, updated_at = ?2, version = version + 1
WHERE id = ?1 AND revoked_at IS NULL AND (disabled_at IS NULL OR (?5 AND disabled_by IS NOT ?4))
    AND (?3 IS NULL OR version = ?3)
