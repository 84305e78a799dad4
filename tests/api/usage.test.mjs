import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { as, startOnSockets } from "../support/harness.mjs";
import { messageKey } from "../support/usage.mjs";

let system;
// These tests deliver calls that are months old; the consumer accepts them as long as raw calls are kept.
before(async () => (system = await startOnSockets({ apiVars: { EVENTS_RETENTION_DAYS: "1000" } })));
after(() => system?.stop());

const fields = (answer) => (answer.body.details ?? []).map((detail) => detail.field);
let serial = 0;
const event = (more = {}) => ({
  id: `u${serial++}`,
  at: Date.now(),
  token_id: "tok_a",
  team: "automation",
  route_id: "rte_a",
  route_path: "/api/a",
  path: "/api/a",
  method: "GET",
  status: 200,
  outcome: "ok",
  latency_ms: 10,
  gateway_ms: 1,
  request_id: "req_u",
  ...more,
});
const deliver = (...events) =>
  system.deliver([{ id: `m${serial++}`, body: JSON.stringify({ v: 1, key: messageKey(), events }) }]);

/** Parity fault 10: lists showed 0 calls for all but the top ten, and success was always 100 %. */
test("every token of a report has its figures and its own success", async () => {
  const events = [];
  for (let token = 0; token < 15; token++) {
    for (let call = 0; call <= token; call++)
      events.push(event({ token_id: `tok_${token}`, route_id: `rte_${token}` }));
    events.push(
      event({ token_id: `tok_${token}`, route_id: `rte_${token}`, outcome: "upstream-error", status: 500 }),
    );
  }
  await deliver(...events.slice(0, 50));
  await deliver(...events.slice(50, 100));
  await deliver(...events.slice(100));
  const stats = await as(system, "viewer", "GET", "/api/usage/stats");
  assert.equal(stats.status, 200);
  assert.equal(stats.body.by_token.length, 15);
  assert.equal(stats.body.by_route.length, 15);
  for (const row of stats.body.by_token) {
    const ok = Number(row.token_id.slice(4)) + 1;
    assert.deepEqual([row.calls, row.ok, row.upstream_errors], [ok + 1, ok, 1], row.token_id);
    assert.equal(row.success_permille, Math.floor((ok * 1000) / (ok + 1)));
  }
  assert.ok(stats.body.by_token[0].calls >= stats.body.by_token.at(-1).calls, "busiest first");
});

test("percentiles are read from the histogram within ten per cent, and denials do not count as latency", async () => {
  const events = Array.from({ length: 100 }, (_, i) =>
    event({ token_id: "tok_p", latency_ms: (i + 1) * 10 }),
  );
  await deliver(...events.slice(0, 50));
  await deliver(...events.slice(50));
  await deliver(
    ...Array.from({ length: 10 }, () =>
      event({ token_id: "tok_p", outcome: "denied-scope", status: 403, latency_ms: 0 }),
    ),
  );
  const { body } = await as(system, "admin", "GET", "/api/usage/stats?token_id=tok_p");
  for (const [name, exact] of /** @type {any[][]} */ ([
    ["p50_ms", 500],
    ["p95_ms", 950],
    ["p99_ms", 990],
  ])) {
    assert.ok(Math.abs(body.total[name] - exact) <= exact / 10, `${name} ${body.total[name]}`);
  }
  assert.deepEqual([body.total.calls, body.total.denied, body.total.mean_ms], [110, 10, 505]);
});

test("callers see only the usage of their own teams", async () => {
  await deliver(event({ token_id: "tok_core", team: "core-team" }));
  const calls = async (user, query = "") =>
    (await as(system, user, "GET", `/api/usage/stats?token_id=tok_core${query}`)).body.total.calls;
  assert.deepEqual([await calls("admin"), await calls("viewer")], [1, 0]);
  const newcomer = await as(system, "newcomer", "GET", "/api/usage/stats");
  assert.ok(newcomer.status === 404 || newcomer.body.total.calls === 0, JSON.stringify(newcomer.body));
});

test("422: bad ranges are named", async () => {
  for (const [query, field] of [
    ["from=yesterday", "from"],
    ["from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"],
    ["interval=fortnight", "interval"],
    ["from=0", "from"],
    ["bogus=1", "bogus"],
  ]) {
    const answer = await as(system, "admin", "GET", `/api/usage/stats?${query}`);
    assert.equal(answer.status, 422, `${query}: ${JSON.stringify(answer.body)}`);
    assert.ok(
      fields(answer).some((name) => name === field || name === "to"),
      `${query}: ${JSON.stringify(answer.body.details)}`,
    );
  }
});

test("a range in another time zone names the same instants", async () => {
  const at = Date.UTC(2026, 0, 15, 16, 30);
  await deliver(event({ token_id: "tok_z", at }));
  const calls = async (from, to) => {
    const answer = await as(
      system,
      "admin",
      "GET",
      `/api/usage/stats?token_id=tok_z&from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`,
    );
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.total.calls;
  };
  assert.equal(await calls("2026-01-16T00:00:00+08:00", "2026-01-16T01:00:00+08:00"), 1);
  assert.equal(await calls("2026-01-15T16:00:00Z", "2026-01-15T17:00:00Z"), 1);
  assert.equal(await calls("2026-01-15T14:00:00Z", "2026-01-15T16:00:00Z"), 0);
});

test("a batch whose calls are too long for a row is stored in several, each once", async () => {
  const before = await system.usage.calls();
  // Nothing that repeats, so it does not become shorter.
  const text = (bytes) => randomBytes(bytes).toString("base64url");
  const message = () => ({
    id: `m${serial++}`,
    body: JSON.stringify({
      v: 1,
      key: messageKey(),
      events: Array.from({ length: 50 }, () => event({ path: `/${text(360)}`, user_agent: text(140) })),
    }),
  });
  await system.deliver(Array.from({ length: 60 }, message));
  assert.equal((await system.usage.calls()) - before, 3_000);
  await system.cron();
  const longest = await system.usage.db.prepare("SELECT max(bytes) AS n FROM segments").first("n");
  assert.ok(longest > 100_000 && longest < 2_000_000, `${longest}`);
});

test("a list without a start covers the day before its end, on every page", async () => {
  const end = Date.now() - 5 * 86_400_000;
  const old = [1, 2, 3].map((hours) => event({ at: end - hours * 3_600_000 }));
  await deliver(...old, event({ at: end - 25 * 3_600_000 }));
  const found = [];
  for (let cursor = ""; ;) {
    const page = await as(system, "admin", "GET", `/api/usage/events?limit=1&to=${end}${cursor}`);
    found.push(...page.body.items.map(({ id }) => id));
    if (!page.body.next_cursor) break;
    cursor = `&cursor=${page.body.next_cursor}`;
  }
  assert.deepEqual(
    found,
    old.map(({ id }) => id),
  );
});

test("calls are filtered by exact status, model, text, address and ids, and a bad status is named", async () => {
  await deliver(
    event({
      id: "one-of-many",
      token_id: "tok_f",
      status: 404,
      outcome: "client-error",
      path: "/api/a/models/list",
      client_ip: "203.0.113.9",
      request_id: "req_filtered",
      label: "Nightly",
      second: true,
      ai: { model: "gpt-4o" },
    }),
    event({ token_id: "tok_f", status: 403, outcome: "denied-scope", limit: "calls-per-day" }),
  );
  const ids = async (query) => {
    const { status, body } = await as(system, "admin", "GET", `/api/usage/events?token_id=tok_f&${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body.items.map((one) => one.id);
  };
  for (const [hit, miss] of [
    ["status=404", "status=405"],
    ["path_contains=models", "path_contains=modals"],
    ["model=gpt-4o", "model=gpt-4"],
    ["label=Nightly", "label=nightly"],
    ["client_ip=203.0.113.9", "client_ip=203.0.113.8"],
    ["request_id=req_filtered", "request_id=req_other"],
    ["id=one-of-many", "id=another"],
  ])
    assert.deepEqual([await ids(hit), await ids(miss)], [["one-of-many"], []], hit);
  assert.equal((await ids("status=4xx")).length, 2);
  const { body } = await as(system, "admin", "GET", "/api/usage/events?id=one-of-many");
  assert.deepEqual([body.items[0].second, body.items[0].label], [true, "Nightly"], "found without its token");
  for (const status of ["abc", "6xx", "99", "40x"]) {
    const refused = await as(system, "admin", "GET", `/api/usage/events?status=${status}`);
    assert.deepEqual([refused.status, fields(refused)], [422, ["status"]], status);
  }
});

test("a client that makes up names of models fills no report: fifty a day and team, and all others together", async () => {
  const at = Date.now();
  const made = Array.from({ length: 130 }, (_, n) =>
    event({ at, team: "made-up", ai: { model: `made-up-${n}`, cost_micros: 1 } }),
  );
  const read = async () =>
    (
      await as(
        system,
        "admin",
        "GET",
        `/api/usage/explore?group_by=model&team_id=made-up&limit=200&from=${at - 3_600_000}`,
      )
    ).body;
  await deliver(...made.slice(0, 50));
  await deliver(...made.slice(50, 70));
  await system.cron();
  await deliver(...made.slice(70, 120));
  await deliver(...made.slice(120));
  // What is not folded yet is bounded by batch.
  const before = await read();
  assert.deepEqual([before.total.calls, before.total.cost_micros], [130, 130]);
  await system.cron();
  const report = await read();
  assert.deepEqual([report.total.calls, report.groups.length, report.groups_called], [130, 51, 51]);
  const others = report.groups.find((group) => group.id === null);
  assert.deepEqual([others.calls, others.cost_micros], [80, 80]);
});
