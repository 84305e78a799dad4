DELETE FROM audit WHERE seq <= (SELECT value ->> 'seq' FROM settings WHERE key = 'audit-cut')
