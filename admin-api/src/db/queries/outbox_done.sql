-- By id: a row that another change has added since stays until that change is published.
DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?1))
