// A dump of the earlier system, cut into parts of one request each. Pure: no I/O. The same
// cuts as `domain::v1::import::settings_parts` makes for the UI.

/** Tokens and rows of calls in one part; the API accepts 2,000 and 5,000. */
const TOKENS = 1_000;
const CALLS = 2_000;
/** The column with the number of earlier rows that are alike in every field: `domain::v1::import::OCCURRENCE`. */
const OCCURRENCE = "_occurrence";

const chunks = (list, size) =>
  Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));

/** KV as an object, from any of the formats that `wrangler` writes. */
function kvOf(dump) {
  if (!Array.isArray(dump)) return dump ?? {};
  return Object.fromEntries(dump.map((entry) => [entry.key ?? entry.name, entry.value]));
}

/** The lines of a CSV; a quoted line break stays in its row. */
function linesOf(text) {
  const lines = text.replace(/^\ufeff/, "").match(/(?:"(?:[^"]|"")*"|[^"\n])+/g) ?? [];
  return lines.map((line) => line.replace(/\r$/, "")).filter((line) => line.trim() !== "");
}

/** The cells of a line of CSV. */
function cellsOf(line) {
  const cells = line.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g).map((cell) => cell.replace(/,$/, ""));
  if (!line.endsWith(",")) cells.pop();
  return cells.map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell));
}

/** A table as a list of objects; an empty cell is null, as the API reads it. */
function rowsOf(table) {
  if (table === undefined || Array.isArray(table)) return table ?? [];
  const [head, ...lines] = linesOf(table);
  if (head === undefined) return [];
  const names = cellsOf(head).map((name) => name.trim());
  return lines.map((line) => {
    const cells = cellsOf(line);
    return Object.fromEntries(names.map((name, i) => [name, cells[i] || null]));
  });
}

/**
 * Requests for everything but calls: first all other data, then the tokens. A token's KV entry is sent together with
 * its row, since the row alone means that the token was switched off.
 */
export function settingsParts({ kv, teams, tokens, routes }) {
  const entries = Object.entries(kvOf(kv));
  /** @param {[string, any]} entry */
  const isToken = ([key]) => key.startsWith("token:");
  /** @type {Map<string, { entry: [string, any], row?: any }>} */
  const byHash = new Map(
    entries.filter(isToken).map(([key, value]) => [key.slice("token:".length), { entry: [key, value] }]),
  );
  const nameless = [];
  for (const row of rowsOf(tokens)) {
    const hash = [row.token_hash, row.hash].find((text) => typeof text === "string" && text.trim())?.trim();
    if (hash) byHash.set(hash, { ...byHash.get(hash), row });
    else nameless.push(row);
  }
  const first = {
    kv: Object.fromEntries(entries.filter((entry) => !isToken(entry))),
    tables: { teams: teams ?? [], tokens: nameless, routes: routes ?? [] },
  };
  // Sorted by hash, so that every run makes the same cuts.
  const sorted = [...byHash].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, token]) => token);
  const rest = chunks(sorted, TOKENS).map((part) => ({
    kv: Object.fromEntries(part.flatMap(({ entry }) => (entry ? [entry] : []))),
    tables: { tokens: part.flatMap(({ row }) => (row ? [row] : [])) },
  }));
  return [first, ...rest];
}

/** Calls in parts that are the same in every run, even if the dump has grown. */
export function callParts(table) {
  if (table === undefined) return [];
  const seen = new Map();
  const numbered = (row, key) => {
    const times = seen.get(key) ?? 0;
    seen.set(key, times + 1);
    return [row, times];
  };
  if (Array.isArray(table)) {
    const rows = table
      .map((row) => numbered(row, JSON.stringify(row)))
      .map(([row, times]) => (times > 0 ? { ...row, [OCCURRENCE]: times } : row));
    return chunks(rows, CALLS);
  }
  const [names, ...lines] = linesOf(table);
  if (names === undefined) return [];
  return chunks(
    lines.map((line) => numbered(line, line)),
    CALLS,
  ).map((part) => {
    if (part.every(([, times]) => times === 0)) return [names, ...part.map(([line]) => line)].join("\n");
    return [`${names},${OCCURRENCE}`, ...part.map(([line, times]) => `${line},${times}`)].join("\n");
  });
}
