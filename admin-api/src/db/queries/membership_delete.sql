-- Only if the role is still the one for which permission was given.
DELETE FROM memberships WHERE user_id = ?1 AND team_id = ?2 AND role = ?3
