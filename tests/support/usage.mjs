// Usage as tests look at it: counts from USAGE_DB itself, single calls as the API lists them.
import { randomBytes } from "node:crypto";

/** The key of a message, as the gateway makes it: the time in ms in six bytes, then ten random ones. */
export function messageKey(at = Date.now()) {
  const key = randomBytes(16);
  key.writeUIntBE(at, 0, 6);
  return key.toString("base64url");
}

/** A call as the gateway sends it. */
export const callOf = (id, more = {}) => ({
  id,
  at: Date.now(),
  token_id: "tok_usage",
  team: "automation",
  route_id: "rte_usage",
  route_path: "/api/usage",
  path: "/api/usage/1",
  method: "GET",
  status: 200,
  outcome: "ok",
  latency_ms: 12,
  gateway_ms: 1,
  request_id: id,
  ...more,
});

/**
 * A message of the queue for `system.deliver`, with a key as the gateway of today gives it; an older one gave `null`.
 * @param {string} id
 * @param {any[]} events
 * @param {{ key?: string | null }} [options]
 */
export const messageOf = (id, events, { key = messageKey() } = {}) => ({
  id,
  body: JSON.stringify({ v: 1, ...(key && { key }), events }),
});

/** The lines of stored sums (`domain::usage::sheet`): of each its team, its token and the number of its calls. */
const linesOf = ({ sums }) => {
  const { ids, buckets } = JSON.parse(sums);
  const line = (text) => {
    const [team, token, , , mask, first] = text.split(" ").map(Number);
    return { team: ids[team], token: ids[token], calls: mask & 1 ? first : 0 };
  };
  return buckets.flatMap(([, , lines]) => lines.split("\n").filter(Boolean).map(line));
};

/**
 * The number of calls stored since ever, or those of a team or token. A call is in exactly one place: the inbox, the
 * sums of a bucket that is not over, or the rollups of a week that is.
 * @param {any} db
 * @param {{ team?: string, token?: string }} [of]
 */
async function storedCalls(db, of = {}) {
  const { team, token } = of;
  const dimension = token ? "token" : team ? "team" : "all";
  const [unfolded, weeks] = await db.batch([
    db.prepare("SELECT sums FROM inbox UNION ALL SELECT sums FROM open"),
    db.prepare("SELECT key, calls FROM rollups WHERE dimension = ? AND granularity = 'week'").bind(dimension),
  ]);
  const isOf = (ofTeam, ofToken) => (!team || team === ofTeam) && (!token || token === ofToken);
  const pending = unfolded.results
    .flatMap(linesOf)
    .filter((line) => isOf(line.team, line.token))
    .map(({ calls }) => calls);
  const over = weeks.results
    .filter(({ key }) => dimension === "all" || isOf(...key.split(" ")))
    .map(({ calls }) => calls);
  return [...pending, ...over].reduce((sum, calls) => sum + calls, 0);
}

/** `ask` sends a GET to the admin API as a platform admin, and resolves to `{ status, body }`. */
export function usageOf(db, ask) {
  const get = async (where, query) => {
    const { status, body } = await ask(`${where}?${new URLSearchParams(query)}`);
    if (status !== 200) throw new Error(`${where}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  return {
    db,
    calls: (of) => storedCalls(db, of),
    /**
     * All calls that match, newest first, with the query of `/api/usage/events`.
     * @param {Record<string, string>} query
     * @returns {Promise<any[]>}
     */
    events: async (query) => {
      const found = [];
      for (let cursor; ;) {
        const page = await get("/api/usage/events", { limit: "200", ...query, ...(cursor && { cursor }) });
        found.push(...page.items);
        cursor = page.next_cursor;
        if (!cursor) return found;
      }
    },
    /** What was counted and not recorded. */
    losses: () =>
      db
        .prepare(
          `SELECT coalesce(sum(dropped), 0) AS dropped, coalesce(sum(unknown_tokens), 0) AS unknown_tokens,
            coalesce(sum(undecodable), 0) AS undecodable FROM losses`,
        )
        .first(),
  };
}
