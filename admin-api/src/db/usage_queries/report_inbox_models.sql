-- Sums by model that are not folded yet.
SELECT models AS sums FROM inbox WHERE models <> ''
