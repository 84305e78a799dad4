SELECT hour, figures FROM canary_hours WHERE hour >= ?1 ORDER BY hour
