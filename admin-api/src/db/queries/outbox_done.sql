-- Deletes by id: a row that another change has since added stays until that change is published.
DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?1))
