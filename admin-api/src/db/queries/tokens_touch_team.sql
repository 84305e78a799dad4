-- A change of cap, limits, budget or time zone affects each token, so it increments each version, if the statement before
-- it changed something.
UPDATE tokens SET version = version + 1, updated_at = ?2
WHERE team_id = ?1 AND revoked_at IS NULL AND changes() > 0
