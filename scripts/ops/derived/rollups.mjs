// Rebuilds the rollups of whole days from the raw events. Pure: no I/O.
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../setup.mjs";

const DAY = 86_400_000;
const FINE_KEPT = 2 * DAY;

/** `bin_of` of domain/src/usage/rollup.rs in SQL: exact below 16, then eight bins to each power of two. */
const bin = (v) => `(SELECT iif(v < 16, v, 16 + (o - 4) * 8 + ((v >> (o - 3)) & 7)) FROM (
  SELECT v, ${[...Array(16).keys()].map((i) => `(v >= ${1 << (i + 5)})`).join(" + ")} + 4 AS o FROM (SELECT min(${v}, 1048576) AS v)))`;

/** `Outcome::class` of domain/src/usage/outcome.rs in SQL; a test compares the two. */
const CLASS = `CASE
  WHEN outcome GLOB 'denied-*' THEN 'denied' WHEN outcome GLOB 'limited-*' THEN 'limited'
  WHEN outcome IN ('ok', 'timeout') THEN outcome
  WHEN outcome IN ('client-error', 'client-gone') THEN 'client-error'
  WHEN outcome IN ('upstream-error', 'unreachable') THEN 'upstream-error'
  ELSE 'gateway-error' END`;

/** The consumer's own statement, fed from the table in place of a message. */
function addUp(from, to) {
  const text = readFileSync(path.join(root, "admin-api/src/db/queries/usage_rollups_add.sql"), "utf8")
    .replace(/^--.*$/gm, "")
    .trim();
  const source = `(SELECT json_object('id', id, 'at', at, 'token_id', token_id, 'route_id', coalesce(route_id, ''), 'team_id', team_id,
    'class', ${CLASS}, 'latency_ms', latency_ms, 'gateway_ms', gateway_ms, 'bin', ${bin("latency_ms")},
    'bytes_in', bytes_in, 'bytes_out', bytes_out, 'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens,
    'cached_tokens', cached_tokens, 'cost_micros', cost_micros) AS value
    FROM usage_events WHERE at >= ${from} AND at < ${to})`;
  /** @type {[RegExp, string][]} */
  const pieces = [
    [
      /FROM json_each\(\?1\)\s+WHERE NOT EXISTS \(SELECT 1 FROM usage_events AS seen WHERE seen\.id = value ->> 'id'\)/,
      `FROM ${source}`,
    ],
    [/,\s*\('week', 604800000\)/, ""],
  ];
  return pieces.reduce((sql, [pattern, by]) => {
    if (!pattern.test(sql)) throw new Error(`usage_rollups_add.sql has changed: ${pattern} is not in it`);
    return sql.replace(pattern, by);
  }, text);
}

/**
 * Statements to be run as one transaction, so that no report sees a day half done and no event counts twice: the
 * rollups of the day that starts at `day` (ms), and then of its week as the sum of its days. Five-minute rollups
 * past their retention are not rebuilt.
 */
export function rebuildDay(day, now) {
  const week = day - (day % (7 * DAY));
  const sums = [
    "calls",
    "ok",
    "client_errors",
    "upstream_errors",
    "timeouts",
    "gateway_errors",
    "denied",
    "limited",
    "latency_sum_ms",
    "gateway_sum_ms",
    "bytes_in",
    "bytes_out",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_micros",
  ];
  return [
    `DELETE FROM usage_rollups WHERE granularity IN ('5m', 'hour', 'day') AND bucket_start >= ${day} AND bucket_start < ${day + DAY}`,
    addUp(day, day + DAY),
    `DELETE FROM usage_rollups WHERE granularity = '5m' AND bucket_start < ${now - FINE_KEPT}`,
    `DELETE FROM usage_rollups WHERE granularity = 'week' AND bucket_start = ${week}`,
    `INSERT INTO usage_rollups (dimension, granularity, key, bucket_start, ${sums.join(", ")}, histogram)
SELECT dimension, 'week', key, ${week}, ${sums.map((name) => `sum(${name})`).join(", ")},
    (SELECT json_group_object(b.bin, b.n) FROM (
        SELECT j.key AS bin, sum(j.value) AS n FROM usage_rollups AS w, json_each(w.histogram) AS j
        WHERE w.dimension = d.dimension AND w.granularity = 'day' AND w.key = d.key AND w.bucket_start >= ${week} AND w.bucket_start < ${week + 7 * DAY}
        GROUP BY j.key) AS b)
FROM usage_rollups AS d
WHERE granularity = 'day' AND bucket_start >= ${week} AND bucket_start < ${week + 7 * DAY}
GROUP BY dimension, key`,
  ];
}

/** Starts of the days that can be rebuilt because all their events are still there. `oldest` is the oldest event's time. */
export function rebuildable(oldest, now, retentionDays) {
  const kept = now - (retentionDays - 1) * DAY;
  // If nothing was ever deleted, the first day is complete too.
  const first = oldest > kept ? oldest - (oldest % DAY) : kept - (kept % DAY) + DAY;
  const days = [];
  for (let day = first; day <= now; day += DAY) days.push(day);
  return days;
}
