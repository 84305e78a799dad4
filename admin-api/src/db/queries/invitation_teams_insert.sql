-- ?2 JSON of {team_id, role}
INSERT INTO invitation_teams (invitation_id, team_id, role)
SELECT ?1, value ->> 'team_id', value ->> 'role' FROM json_each(?2)
