-- The five people of the local system and their teams. Run at every start; adds what is missing.
INSERT OR IGNORE INTO teams (id, name, description, color, icon, created_at, updated_at)
VALUES ('automation', 'Automation', 'n8n workflows', '#0066cc', 'robot', unixepoch() * 1000, unixepoch() * 1000);

INSERT OR IGNORE INTO users (id, email, email_verified, name, created_at, updated_at) VALUES
    ('user_admin', 'admin@example.test', 1, 'Ada Admin', unixepoch() * 1000, unixepoch() * 1000),
    ('user_manager', 'manager@example.test', 1, 'Max Manager', unixepoch() * 1000, unixepoch() * 1000),
    ('user_developer', 'developer@example.test', 1, 'Dana Developer', unixepoch() * 1000, unixepoch() * 1000),
    ('user_viewer', 'viewer@example.test', 1, 'Vera Viewer', unixepoch() * 1000, unixepoch() * 1000),
    ('user_newcomer', 'newcomer@example.test', 1, 'Nick Newcomer', unixepoch() * 1000, unixepoch() * 1000);

INSERT OR IGNORE INTO memberships (user_id, team_id, role, created_at) VALUES
    ('user_admin', 'core-team', 'ADMIN', unixepoch() * 1000),
    ('user_manager', 'automation', 'MANAGER', unixepoch() * 1000),
    ('user_developer', 'automation', 'DEVELOPER', unixepoch() * 1000),
    ('user_viewer', 'automation', 'VIEWER', unixepoch() * 1000);
