-- Labels that are not folded yet.
SELECT labels FROM inbox WHERE labels <> ''
