-- Only from the role that leave was given for.
DELETE FROM memberships WHERE user_id = ?1 AND team_id = ?2 AND role = ?3
