-- Alerts, after a review. An alert is known by the time at which its notification was opened, and by its step. The statements
-- that write notifications open one again if its reason is another one: a new limit, a counter that began again, another
-- end. The step before is then a share of the limit as it is now, and of a counter that began again there is none.
DROP TRIGGER notification_renewed;
CREATE TRIGGER notification_renewed AFTER UPDATE ON notifications
WHEN NEW.resolved_at IS NULL
    AND (NEW.created_at <> OLD.created_at OR NEW.details ->> 'step' IS NOT OLD.details ->> 'step')
    AND EXISTS (SELECT 1 FROM channels WHERE enabled = 1)
BEGIN
    INSERT INTO alerts (kind, subject, period, is_over, team_id, details, before, at)
    SELECT NEW.kind, NEW.subject, NEW.created_at || ' ' || coalesce(NEW.details ->> 'step', ''), 0, NEW.team_id, NEW.details,
        iif(OLD.resolved_at IS NOT NULL OR coalesce(OLD.details ->> 'resets_at' <= NEW.updated_at, false), 0,
            CAST(coalesce(min(OLD.details ->> 'step', (NEW.details ->> 'used') * 100 / (NEW.details ->> 'limit')),
                OLD.details ->> 'step', 0) AS INTEGER)), NEW.updated_at
    WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE kind = NEW.kind AND subject = NEW.subject
        AND period = NEW.created_at || ' ' || coalesce(NEW.details ->> 'step', '')); END;

-- After a try that failed, the next of the channel comes at this time.
ALTER TABLE channels ADD COLUMN rests_until INTEGER;

-- Channels of teams no longer name events that concern no team, of which they never heard.
UPDATE channels
SET events = (SELECT json_group_array(value) FROM json_each(channels.events) WHERE value NOT IN
    ('route-failing', 'route-recovered', 'publication-late', 'canary-late', 'dead-letters', 'database-full'))
WHERE team_id IS NOT NULL;
