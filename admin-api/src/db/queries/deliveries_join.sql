-- Alerts that join a delivery that waits (?1, JSON): it gets the latest text, and counts the others.
UPDATE deliveries SET alert = joined.value -> 'alert', more = more + (joined.value ->> 'more')
FROM json_each(?1) AS joined
WHERE deliveries.id = joined.value ->> 'id'
