-- Only if the statement before it in the batch changed something: a credential is never stored
-- for an origin that the route no longer has.
INSERT INTO credentials (route_id, kind, origin, sealed, sealed_under, updated_by, updated_at, pool)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
WHERE changes() > 0
ON CONFLICT (route_id) DO UPDATE SET
    kind = excluded.kind, origin = excluded.origin, sealed = excluded.sealed,
    sealed_under = excluded.sealed_under, updated_by = excluded.updated_by, updated_at = excluded.updated_at,
    pool = excluded.pool
