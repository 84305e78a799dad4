-- Names and kinds of the credentials of a pool (`domain::credential::pool::ShownPool`) as JSON; counts only while `kind` is
-- 'pool', since an older version that sets another credential leaves it here.
ALTER TABLE credentials ADD COLUMN pool TEXT CHECK (json_type(pool) = 'object');
