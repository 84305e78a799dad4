SELECT count(*) AS pending FROM outbox WHERE kind = ?1 AND entity_id = ?2
