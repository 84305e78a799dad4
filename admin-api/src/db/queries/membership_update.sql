-- Only if the role is still the one for which permission was given.
UPDATE memberships SET role = ?4 WHERE user_id = ?1 AND team_id = ?2 AND role = ?3
