-- Sums that are not folded yet.
SELECT sums FROM inbox
