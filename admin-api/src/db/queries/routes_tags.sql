SELECT t.value AS tag, count(*) AS routes
FROM routes, json_each(routes.tags) AS t
GROUP BY t.value
ORDER BY t.value
