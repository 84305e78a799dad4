-- Sums by AI model, apart from all others: a call of no AI costs nothing, and a version that does not know them leaves them
-- as they are. They become rows of `rollups` of the dimensions `model` and `team-model`. In keys a model's name has no-break
-- spaces; an empty name stands for all models after the first 50 of a team and day (UTC), and for models that are not known.

-- In the form of `inbox.sums`, with no token and the model in the place of the route; '' if no call of the batch is an AI's.
ALTER TABLE inbox ADD COLUMN models TEXT NOT NULL DEFAULT '';

-- As `open`.
CREATE TABLE open_models (
    granularity TEXT NOT NULL CHECK (granularity IN ('5m', 'hour', 'day', 'week')),
    bucket INTEGER NOT NULL,
    part INTEGER NOT NULL,
    sums TEXT NOT NULL,
    PRIMARY KEY (granularity, bucket, part)
) STRICT, WITHOUT ROWID;
