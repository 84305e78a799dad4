INSERT INTO canary_hours (hour, figures) VALUES (?1, ?2)
ON CONFLICT (hour) DO UPDATE SET figures = excluded.figures
