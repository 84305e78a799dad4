-- Only for a route that this import has made and that has none.
INSERT INTO credentials (route_id, kind, origin, sealed, sealed_under, updated_by, updated_at)
SELECT value ->> 'route_id', value ->> 'kind', value ->> 'origin', value ->> 'sealed', value ->> 'sealed_under', ?3, ?2
FROM json_each(?1)
WHERE EXISTS (SELECT 1 FROM routes AS r WHERE r.id = value ->> 'route_id')
ON CONFLICT (route_id) DO NOTHING
