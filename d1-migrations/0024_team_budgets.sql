-- JSON object of limits of AI tokens and money that the team's tokens use together; NULL is none.
ALTER TABLE teams ADD COLUMN budget TEXT CHECK (budget IS NULL OR json_type(budget) = 'object');
-- JSON object: the IANA name of the time zone whose days, weeks and months count, its offset, and the next change of that.
-- NULL is UTC.
ALTER TABLE teams ADD COLUMN zone TEXT CHECK (zone IS NULL OR json_type(zone) = 'object');
