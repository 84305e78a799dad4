-- ?1: JSON of {due_at, kind, entity_id}
DELETE FROM outbox_watch
WHERE (due_at, kind, entity_id) IN (SELECT value ->> 'due_at', value ->> 'kind', value ->> 'entity_id' FROM json_each(?1))
