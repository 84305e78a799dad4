-- Which workflows used a token: the sums of the labels that its calls carried.

-- One row a token and day (UTC), so that no number of labels makes more. Written again by each fold that brings labelled
-- calls. Kept 400 days.
CREATE TABLE labels (
    -- Unix ms.
    day INTEGER NOT NULL,
    team_id TEXT NOT NULL,
    token_id TEXT NOT NULL,
    -- JSON object of label to [calls, ok, refused, prompt tokens, completion tokens, micro-dollars, time of the last call]:
    -- `domain::usage::label::Labels`. At most 500 labels; '' stands for all others.
    sums TEXT NOT NULL,
    PRIMARY KEY (day, team_id, token_id)
) STRICT, WITHOUT ROWID;

-- `domain::usage::label::LabelTallies` as JSON; '' if no call of the batch has a label.
ALTER TABLE inbox ADD COLUMN labels TEXT NOT NULL DEFAULT '';
