-- The shares of budgets at which a channel is told.
SELECT DISTINCT t.value AS step FROM channels, json_each(thresholds) AS t WHERE enabled = 1
