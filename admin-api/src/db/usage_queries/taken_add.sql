-- ?1 keys by slot, as JSON
INSERT INTO taken (slot, keys)
SELECT value ->> 'slot', value ->> 'keys' FROM json_each(?1) WHERE true
ON CONFLICT (slot) DO UPDATE SET keys = keys || excluded.keys
