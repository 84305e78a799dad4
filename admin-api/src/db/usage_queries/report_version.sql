-- Rows of the rollups change only together with this version.
SELECT version FROM state
