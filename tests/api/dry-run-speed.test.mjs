// How long a dry run of 200,000 calls takes, and what it reads.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, runtimeMemory, startOnSockets } from "../support/harness.mjs";
import { callOf, messageOf } from "../support/usage.mjs";

const DAY = 86_400_000;
const CALLS = 200_000;
const MOST_MS = 2_000;
let system;
let token;
let other;
before(async () => {
  system = await startOnSockets({ strict: false });
  const make = async (where, body) => (await as(system, "admin", "POST", where, body)).body;
  for (const name of ["a", "b"])
    await make("/api/routes", {
      name,
      path: `/api/busy-${name}`,
      backend_url: `${system.upstream.url}/echo`,
    });
  const of = (name) => ({ name, team_id: "automation", scopes: ["busy-a", "busy-b"] });
  token = await make("/api/tokens", of("busy"));
  other = await make("/api/tokens", of("other"));
  await fill();
});
after(() => system?.stop());

/** A call of either token; every twentieth is the other's. */
function call(i, now) {
  const { id, team_id } = i % 20 === 0 ? other : token;
  return callOf(`0000${i}`.padStart(36, "0"), {
    at: Math.floor(now - 29.5 * DAY + (29.5 * DAY * i) / (CALLS * 1.06)),
    token_id: id,
    team: team_id,
    route_id: `rte_busy_${i % 3 ? "a" : "b"}`,
    route_path: "/api/busy",
    path: `/api/busy-${i % 3 ? "a" : "b"}/things/${(i * 7) % 400}`,
    method: i % 4 ? "POST" : "GET",
    bytes_in: 300 + (i % 700),
    bytes_out: 2_000 + (i % 900),
    client_ip: `203.0.113.${i % 5}`,
    user_agent: "n8n/1.100",
    request_id: `req_${i}`.padEnd(36, "0"),
    latency_ms: (i * 13) % 900,
  });
}

async function fill() {
  const now = Date.now();
  for (let from = 0, serial = 0; from < CALLS * 1.06; from += 5_000) {
    const messages = Array.from({ length: 100 }, (_, m) =>
      messageOf(
        `m${serial++}`,
        Array.from({ length: 50 }, (_, i) => call(from + m * 50 + i, now)),
      ),
    );
    await system.deliver(messages);
    if (from % 20_000 === 15_000) await system.cron();
  }
  await system.cron();
}

for (const [what, where, body] of /** @type {any[]} */ ([
  ["a cut of scopes", () => `/api/tokens/${token.id}`, { scopes: ["busy-a"] }],
  ["a limit", () => `/api/tokens/${token.id}`, { limits: { calls_per_minute: 1, calls_per_day: 5_000 } }],
  ["a team's cap", () => "/api/teams/automation", { scope_cap: ["busy-a"] }],
]))
  test(`${what} is tried on ${CALLS} calls within ${MOST_MS} ms`, async (t) => {
    const times = [];
    for (let i = 0; i < 4; i++) {
      const begun = performance.now();
      const { status, body: report } = await as(system, "admin", "PUT", `${where()}?dry_run=true`, body);
      times.push(Math.round(performance.now() - begun));
      assert.equal(status, 200, JSON.stringify(report));
      assert.deepEqual([report.looked_at, report.is_whole], [CALLS, false]);
      assert.ok(report.refused > 10_000 && report.workflows.length === 10);
      t.diagnostic(JSON.stringify({ ms: times.at(-1), refused: report.refused, back_to: report.back_to }));
    }
    t.diagnostic(`memory of the runtime: ${Math.round(runtimeMemory() / 1_048_576)} MiB`);
    assert.ok(Math.min(...times) < MOST_MS, `${times} ms`);
  });
