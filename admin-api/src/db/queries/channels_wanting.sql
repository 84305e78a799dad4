-- The channels that get alerts.
SELECT id, team_id, events, thresholds FROM channels WHERE enabled = 1
