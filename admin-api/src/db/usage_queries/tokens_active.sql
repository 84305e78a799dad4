-- What tokens have used since ?1; a row for each five minutes.
SELECT key, bucket AS at, calls, cost_micros AS micros
FROM rollups WHERE dimension = 'token' AND granularity = '5m' AND bucket >= ?1
