-- Only if the statement before it changed something. It always changes a row then: the next statement may depend on that.
INSERT INTO config_made (kind, entity_id, made_at)
SELECT ?1, ?2, ?3
WHERE changes() > 0
ON CONFLICT (kind, entity_id) DO UPDATE SET made_at = excluded.made_at
