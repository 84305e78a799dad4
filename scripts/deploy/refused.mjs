// Tokens and secrets that are refused, carried over a restore of the database. Nothing here asks or changes anything.

/** One row: what is revoked, disabled, or has an end by rotation, as JSON. */
export const REFUSED = `SELECT
  (SELECT json_group_array(json_object('id', id, 'revoked_at', revoked_at, 'disabled_at', disabled_at)) FROM tokens WHERE revoked_at IS NOT NULL OR disabled_at IS NOT NULL) AS tokens,
  (SELECT json_group_array(json_object('hash', hash, 'ends_at', ends_at)) FROM token_secrets WHERE ends_at IS NOT NULL) AS secrets`;

/** Rows of one statement: its text stays far below D1's 100 KB. */
const AT_ONCE = 300;

const literal = (rows) => `'${JSON.stringify(rows).replaceAll("'", "''")}'`;

function* pieces(json) {
  const rows = JSON.parse(json);
  for (let i = 0; i < rows.length; i += AT_ONCE) yield literal(rows.slice(i, i + AT_ONCE));
}

/** Statements that refuse the same again. What the restored database refuses earlier or already stays so. */
export function refuseAgain({ tokens, secrets }) {
  return [
    ...[...pieces(tokens)].map((rows) => `UPDATE tokens SET revoked_at = coalesce(tokens.revoked_at, was.value ->> 'revoked_at'),
      disabled_at = coalesce(tokens.disabled_at, was.value ->> 'disabled_at'), version = version + 1, updated_at = unixepoch() * 1000
    FROM json_each(${rows}) AS was WHERE tokens.id = was.value ->> 'id'`),
    ...[...pieces(secrets)].map((rows) => `UPDATE token_secrets SET ends_at = min(coalesce(token_secrets.ends_at, was.value ->> 'ends_at'), was.value ->> 'ends_at')
    FROM json_each(${rows}) AS was WHERE token_secrets.hash = was.value ->> 'hash'`),
  ];
}
