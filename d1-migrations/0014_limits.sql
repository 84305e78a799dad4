-- JSON object of limits that each token of the team has where it has none of its own; NULL is none.
ALTER TABLE teams ADD COLUMN limits TEXT CHECK (limits IS NULL OR json_type(limits) = 'object');
-- Whether calls with the token may ask the gateway for faults.
ALTER TABLE tokens ADD COLUMN inject_faults INTEGER NOT NULL DEFAULT 0 CHECK (inject_faults IN (0, 1));
