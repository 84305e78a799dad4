-- Usage is kept in USAGE_DB now (usage-migrations). Rows of earlier versions are not carried over.
DROP TABLE usage_events;
DROP TABLE usage_rollups;
DROP TABLE usage_pairs;
DROP TABLE usage_losses;
DROP TABLE imported_parts;
