-- An id that any team ever had is not used again: then nothing changes.
INSERT INTO teams (id, name, description, color, icon, scope_cap, limits, budget, zone, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
ON CONFLICT (id) DO NOTHING
