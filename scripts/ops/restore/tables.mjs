// Rows of the stage's database, in pieces that D1 accepts: pages to read, and pieces of JSON to write.

/** Rows of one page, and of one statement. */
const ROWS = 2_000;
/** Bytes of one parameter; D1 accepts 2 MB. */
const BYTES = 900_000;

/** The keys by which the tables are paged. */
export const KEYS = {
  teams: ["id"],
  users: ["id"],
  memberships: ["user_id", "team_id"],
  invitations: ["id"],
  invitation_teams: ["invitation_id", "team_id"],
  tokens: ["id"],
  token_secrets: ["hash"],
  api_keys: ["id"],
  api_key_secrets: ["hash"],
  routes: ["id"],
  credentials: ["route_id"],
  channels: ["id"],
  settings: ["key"],
  audit: ["id"],
};

/** All rows of a table, a page at a time. */
export async function* pages(sql, table, where = "true") {
  const keys = KEYS[table];
  let last = keys.map(() => "");
  for (;;) {
    const marks = keys.map((_, i) => `?${i + 1}`).join(", ");
    const rows = await sql(
      `SELECT * FROM ${table} WHERE (${keys.join(", ")}) > (${marks}) AND ${where} ORDER BY ${keys.join(", ")} LIMIT ${ROWS}`,
      last,
    );
    if (rows.length > 0) yield rows;
    if (rows.length < ROWS) return;
    last = keys.map((key) => rows.at(-1)[key]);
  }
}

export async function all(sql, table) {
  const rows = [];
  for await (const page of pages(sql, table)) rows.push(...page);
  return rows;
}

/** The rows of a table whose first key is one of `keys`. */
export const rowsOf = (sql, table, keys) =>
  sql(`SELECT * FROM ${table} WHERE ${KEYS[table][0]} IN (SELECT value FROM json_each(?1))`, [
    JSON.stringify(keys),
  ]);

/** JSON arrays of the rows, each small enough for a parameter. */
function* pieces(rows) {
  let piece = [];
  let bytes = 0;
  for (const row of rows) {
    const text = JSON.stringify(row);
    const size = Buffer.byteLength(text);
    if (piece.length === ROWS || (piece.length > 0 && bytes + size > BYTES)) {
      yield `[${piece.join(",")}]`;
      [piece, bytes] = [[], 0];
    }
    piece.push(text);
    bytes += size;
  }
  if (piece.length > 0) yield `[${piece.join(",")}]`;
}

const isKey = (table) => KEYS[table].map((key) => `${table}.${key} = n.value ->> '${key}'`).join(" AND ");

/** Times that never change once they are set: of revoking, disabling and deleting. */
const HAPPENED = ["revoked_at", "disabled_at", "deleted_at"];
/** An end that may only become earlier. */
const ENDS = ["ends_at", "expires_at"];

function valueOf(table, name) {
  const [own, given] = [`${table}.${name}`, `n.value ->> '${name}'`];
  if (HAPPENED.includes(name)) return `coalesce(${own}, ${given})`;
  if (ENDS.includes(name)) return `min(coalesce(${own}, ${given}), coalesce(${given}, ${own}))`;
  return given;
}

/** Sets the columns that the rows have, by their keys; an earlier time of a revocation or end is kept. */
export async function update(sql, table, rows) {
  if (rows.length === 0) return;
  const columns = Object.keys(rows[0]).filter((name) => !KEYS[table].includes(name));
  const set = columns.map((name) => `${name} = ${valueOf(table, name)}`).join(", ");
  for (const piece of pieces(rows))
    await sql(`UPDATE ${table} SET ${set} FROM json_each(?1) AS n WHERE ${isKey(table)}`, [piece]);
}

/** Inserts whole rows; an existing one is kept or replaced. */
export async function insert(sql, table, rows, { replace = false } = {}) {
  if (rows.length === 0) return;
  const columns = Object.keys(rows[0]);
  const values = columns.map((name) => `value ->> '${name}'`).join(", ");
  const rest = columns
    .filter((name) => !KEYS[table].includes(name))
    .map((name) => `${name} = excluded.${name}`)
    .join(", ");
  const conflict = replace ? `(${KEYS[table].join(", ")}) DO UPDATE SET ${rest}` : "DO NOTHING";
  for (const piece of pieces(rows))
    await sql(
      `INSERT INTO ${table} (${columns.join(", ")}) SELECT ${values} FROM json_each(?1) WHERE true ON CONFLICT ${conflict}`,
      [piece],
    );
}

export async function remove(sql, table, rows) {
  for (const piece of pieces(rows))
    await sql(`DELETE FROM ${table} WHERE EXISTS (SELECT 1 FROM json_each(?1) AS n WHERE ${isKey(table)})`, [
      piece,
    ]);
}
