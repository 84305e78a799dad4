// The explorer's report and the first page, counted again from the calls.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, startOnSockets } from "../support/harness.mjs";
import { messageKey } from "../support/usage.mjs";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
let system;
after(() => system?.stop());

const ask = (user, where, method = "GET", body) => as(system, user, method, where, body);
const get = async (user, where) => {
  const { status, body } = await ask(user, where);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};
const OUTCOMES = [
  "ok",
  "ok",
  "ok",
  "client-error",
  "upstream-error",
  "timeout",
  "denied-scope",
  "limited-rate",
];
/** Names of which one is a part of another; the last is not known. */
const MODELS = ["gpt-5", "gpt-5-mini", "my model", "model", undefined];
const modelOf = (call) => call.ai.model ?? null;
const isRefused = ({ outcome }) => /^(denied|limited)/.test(outcome);
const isError = (call) => call.outcome !== "ok" && !isRefused(call);
const cost = (call) => call.ai?.cost_micros ?? 0;
const aiTokens = (call) => (call.ai?.prompt_tokens ?? 0) + (call.ai?.completion_tokens ?? 0);
const count = (calls, is) => calls.filter(is).length;
const sum = (calls, of) => calls.reduce((all, call) => all + of(call), 0);

/** A deterministic generator (mulberry32). */
function dice(seed) {
  return (sides) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };
}

let serial = 0;
const calls = [];
const tokens = [];
const routes = [];

async function deliver(events) {
  for (let i = 0; i < events.length; i += 50)
    await system.deliver([
      {
        id: `e${serial++}`,
        body: JSON.stringify({ v: 1, key: messageKey(), events: events.slice(i, i + 50) }),
      },
    ]);
}

before(async () => {
  system = await startOnSockets();
  for (const name of ["one", "two", "three", "four"])
    tokens.push(
      (
        await ask("admin", "/api/tokens", "POST", {
          name,
          team_id: name === "four" ? "core-team" : "automation",
          scopes: ["*"],
          expires_days: name === "two" ? 5 : null,
          limits: name === "one" ? { cost_micros_per_day: 1, calls_per_month: 1_000_000 } : undefined,
        })
      ).body,
    );
  for (const name of ["red", "green", "blue"])
    routes.push(
      (
        await ask("admin", "/api/routes", "POST", {
          name,
          path: `/api/${name}`,
          backend_url: `${system.upstream.url}/echo`,
        })
      ).body,
    );
  const roll = dice(7);
  const now = Date.now();
  for (let n = 0; n < 900; n++) {
    const [token, route] = [tokens[roll(4)], routes[roll(4)]];
    const outcome = OUTCOMES[roll(OUTCOMES.length)];
    calls.push({
      id: `x${n}`,
      // Some of now, most of three days.
      at: now - (n < 40 ? roll(MINUTE) : roll(3 * DAY)),
      token_id: token.id,
      team: token.team_id,
      route_id: route?.id,
      route_path: route?.path,
      path: route?.path ?? "/api/none",
      method: "GET",
      status: outcome === "ok" ? 200 : 500,
      outcome,
      latency_ms: 1 + roll(900),
      gateway_ms: 1,
      request_id: `req_${n}`,
      ai: roll(3)
        ? undefined
        : {
            model: MODELS[roll(MODELS.length)],
            prompt_tokens: roll(90),
            completion_tokens: roll(9),
            cost_micros: roll(5_000),
          },
    });
  }
  await deliver(calls);
});

/** Compares the sums of a response with those of calls. */
function same(figures, of, told) {
  const found = {
    calls: figures.calls,
    ok: figures.ok,
    errors: figures.client_errors + figures.upstream_errors + figures.timeouts + figures.gateway_errors,
    refused: figures.denied + figures.limited,
    cost: figures.cost_micros,
    ai: figures.prompt_tokens + figures.completion_tokens,
  };
  const counted = {
    calls: of.length,
    ok: count(of, ({ outcome }) => outcome === "ok"),
    errors: count(of, isError),
    refused: count(of, isRefused),
    cost: sum(of, cost),
    ai: sum(of, aiTokens),
  };
  assert.deepEqual(found, counted, told);
  const served = of.filter((call) => !isRefused(call)).map((call) => call.latency_ms);
  for (const [name, percent] of /** @type {any[][]} */ ([
    ["p50_ms", 50],
    ["p95_ms", 95],
  ])) {
    const nth = served.sort((a, b) => a - b)[Math.max(Math.ceil((served.length * percent) / 100), 1) - 1];
    if (nth === undefined) assert.equal(figures[name], null, told);
    else
      assert.ok(
        Math.abs(figures[name] - nth) <= Math.max(nth * 0.0626, 1),
        `${told} ${name} ${figures[name]} ${nth}`,
      );
  }
}
const within = ({ from, to }, of = calls) => of.filter(({ at }) => at >= from && at < to);

test("each way to split is what a count of the calls gives, with the time before and every interval", async () => {
  for (const [days, interval, tz] of /** @type {any[][]} */ ([
    [1, "hour", "UTC"],
    [2, "hour", "UTC"],
    [1, "day", "Asia/Taipei"],
  ])) {
    for (const [by, idOf, all, isCounted] of /** @type {any[][]} */ ([
      ["token", (call) => call.token_id, [...tokens]],
      ["route", (call) => call.route_id ?? null, [...routes, { id: null, path: null }]],
      ["team", (call) => call.team, [{ id: "automation" }, { id: "core-team" }]],
      ["model", modelOf, MODELS.map((model) => ({ id: model ?? null })), (call) => call.ai],
    ])) {
      const from = Date.now() - days * DAY;
      const told = `${by} ${days} ${interval} ${tz}`;
      const report = await get(
        "admin",
        `/api/usage/explore?group_by=${by}&metric=cost&compare=previous&from=${from}&interval=${interval}&tz=${tz}`,
      );
      const counted = calls.filter(isCounted ?? (() => true));
      const mine = within(report, counted);
      same(report.total, mine, told);
      const before = within(report.previous, counted);
      same(report.previous.total, before, `${told} before`);
      const longer = report.previous.to - report.previous.from - (report.to - report.from);
      assert.ok(longer >= 0 && longer < (interval === "hour" && days === 1 ? 5 * MINUTE : HOUR), `${longer}`);
      assert.equal(report.previous.series.length, report.series.length);
      // Every interval, also the empty ones.
      const starts = report.series.map(({ at }) => at);
      starts.forEach((at, n) => {
        const next = starts[n + 1] ?? report.to;
        if (n + 1 < starts.length) assert.equal(next - at, interval === "day" ? DAY : HOUR);
        same(report.series[n], within({ from: at, to: next }, counted), `${told} at ${at}`);
      });
      assert.equal(starts[0], report.from);
      assert.equal(report.groups.length, all.length, told);
      assert.equal(report.groups_called, all.length);
      for (const group of report.groups) {
        const is = (call) => idOf(call) === group.id;
        same(group, mine.filter(is), `${told} ${group.id}`);
        same(group.previous, before.filter(is), `${told} ${group.id} before`);
        group.series.forEach(({ calls, errors, refused, value }, n) => {
          const part = within({ from: starts[n], to: starts[n + 1] ?? report.to }, mine).filter(is);
          assert.deepEqual(
            [calls, errors, refused, value],
            [part.length, count(part, isError), count(part, isRefused), sum(part, cost)],
          );
        });
        assert.equal(group.series.length, starts.length);
        const known = all.find(({ id }) => id === group.id);
        if (by === "model") assert.equal(group.name, null);
        else if (by !== "team")
          assert.equal(group.name, known.name && by === "token" ? known.name : known.path);
      }
      const costs = report.groups.map((group) => group.cost_micros);
      assert.deepEqual(
        costs,
        costs.toSorted((a, b) => b - a),
        told,
      );
    }
  }
});

test("filters, a choice of groups and the numbers of groups are kept to", async () => {
  const [one, two] = tokens;
  const from = Date.now() - DAY;
  const report = await get(
    "admin",
    `/api/usage/explore?group_by=route&token_id=${one.id}&from=${from}&limit=2&drawn=1`,
  );
  same(
    report.total,
    within(report).filter((call) => call.token_id === one.id),
    "one token",
  );
  assert.deepEqual([report.groups.length, report.groups_called, report.previous], [2, 4, null]);
  assert.deepEqual(
    report.groups.map((group) => group.series.length > 0),
    [true, false],
  );
  const chosen = await get("admin", `/api/usage/explore?group_by=token&ids=${two.id},tok_none&from=${from}`);
  assert.deepEqual(
    chosen.groups.map((group) => group.id),
    [two.id],
  );
  const viewer = await get("viewer", `/api/usage/explore?group_by=team&from=${from}`);
  assert.deepEqual(
    viewer.groups.map((group) => group.id),
    ["automation"],
  );
  same(
    viewer.total,
    within(viewer).filter((call) => call.team === "automation"),
    "a member's",
  );
  const nobody = await get("newcomer", "/api/usage/explore?group_by=token");
  assert.deepEqual([nobody.total.calls, nobody.groups.length], [0, 0]);
  for (const [query, field] of [
    ["group_by=country", "group_by"],
    [`group_by=model&token_id=${one.id}`, "token_id"],
    [`model=gpt-5&route_id=${routes[0].id}`, "route_id"],
    ["model=gpt-5&group_by=token", "group_by"],
    ["metric=money", "metric"],
    ["compare=true", "compare"],
    ["drawn=201", "drawn"],
    ["limit=0", "limit"],
    ["tz=Nowhere", "tz"],
    [`ids=${"a,".repeat(200)}a`, "ids"],
    ["from=10&to=5", "from"],
  ]) {
    const { status, body } = await ask("admin", `/api/usage/explore?${query}`);
    assert.deepEqual([status, body.details?.map((detail) => detail.field)], [422, [field]], query);
  }
});

test("a model's calls are told by team, to those who see the team, before and after they are folded", async () => {
  const ofAi = calls.filter((call) => call.ai);
  const from = Date.now() - 3 * DAY;
  for (const folded of [false, true]) {
    if (folded) await system.cron();
    const report = await get("admin", `/api/usage/explore?group_by=team&model=my%20model&from=${from}`);
    const mine = within(report, ofAi).filter((call) => call.ai.model === "my model");
    same(report.total, mine, "a model");
    for (const group of report.groups)
      same(
        group,
        mine.filter((call) => call.team === group.id),
        group.id,
      );
    assert.equal(report.groups.length, 2);
    const viewer = await get("viewer", `/api/usage/explore?group_by=model&from=${from}`);
    const theirs = within(viewer, ofAi).filter((call) => call.team === "automation");
    same(viewer.total, theirs, "a member's");
    for (const group of viewer.groups)
      same(
        group,
        theirs.filter((call) => modelOf(call) === group.id),
        `a member's ${group.id}`,
      );
    assert.deepEqual(
      viewer.groups.map((group) => group.id).toSorted(),
      [...new Set(theirs.map(modelOf))].toSorted(),
    );
    const others = await get("viewer", `/api/usage/explore?group_by=model&team_id=core-team&from=${from}`);
    assert.deepEqual([others.total.calls, others.groups], [0, []], "another team's");
    const all = await get("viewer", `/api/usage/explore?group_by=team&model=model&from=${from}`);
    assert.deepEqual(
      all.groups.map((group) => group.id),
      ["automation"],
    );
    const nobody = await get("newcomer", `/api/usage/explore?group_by=model&from=${from}`);
    assert.deepEqual([nobody.total.calls, nobody.groups], [0, []]);
    const unknown = await get("admin", `/api/usage/explore?model=gpt&from=${from}`);
    assert.equal(unknown.total.calls, 0, "the beginning of a name is no name");
  }
});

test("the first page's figures are what a count of the calls gives", async () => {
  const page = await get("admin", "/api/dashboard/home?tz=Asia/Taipei");
  const mine = within(page);
  same(page.total, mine, "now");
  same(page.previous.total, within(page.previous), "before");
  assert.ok(page.series.length >= 23 && page.series.length <= 24);
  page.series.forEach((hour, n) =>
    same(hour, within({ from: hour.at, to: page.series[n + 1]?.at ?? page.to }), `hour ${n}`),
  );
  assert.equal(
    page.month.cost_micros,
    sum(
      calls.filter(({ at }) => at >= page.month.from),
      cost,
    ),
  );
  const passed = page.to - page.month.from;
  const projected = Math.floor((page.month.cost_micros * (page.month.to - page.month.from)) / passed);
  assert.equal(page.month.projected_micros, passed < DAY ? null : projected);
  const by = (all, idOf, of) =>
    all.map(({ id }) => [
      id,
      sum(
        mine.filter((call) => idOf(call) === id),
        of,
      ),
    ]);
  const most = (pairs) => pairs.filter(([, n]) => n > 0).toSorted(([, a], [, b]) => b - a);
  assert.deepEqual(
    page.spenders.map((token) => [token.id, token.cost_micros]),
    most(by(tokens, (call) => call.token_id, cost)),
  );
  const errors = by(
    [...routes, { id: null }],
    (call) => call.route_id ?? null,
    (call) => Number(isError(call)),
  );
  assert.deepEqual(
    page.failing.map((r) => r.client_errors + r.upstream_errors + r.timeouts + r.gateway_errors),
    most(errors).map(([, n]) => n),
  );
  assert.deepEqual([page.tokens, page.routes], [4, 3]);
});

test("what needs attention is on the first page: a used-up budget, and a token that expires and is used", async () => {
  const page = await get("admin", "/api/dashboard/home");
  const midnight = Math.floor(Date.now() / DAY) * DAY;
  const spent = sum(
    calls.filter(({ at, token_id }) => at >= midnight && token_id === tokens[0].id),
    cost,
  );
  const budget = page.budgets.find(({ token_id }) => token_id === tokens[0].id);
  if (spent > 0)
    assert.deepEqual(
      [budget.name, budget.kind, budget.used, budget.most, budget.resets_at],
      ["one", "cost-micros-per-day", spent, 1, midnight + DAY],
    );
  assert.ok(!page.budgets.some(({ kind }) => kind === "calls-per-month"));
  assert.deepEqual(
    page.expiring.map(({ name }) => name),
    ["two"],
  );
  assert.ok(page.changes.length > 0 && page.changes.every(({ result }) => result === "done"));
  const viewer = await get("viewer", "/api/dashboard/home");
  assert.deepEqual([viewer.changes, viewer.tokens], [[], 3]);
  same(
    viewer.total,
    within(viewer).filter((call) => call.team === "automation"),
    "a member's",
  );
  const nobody = await get("newcomer", "/api/dashboard/home");
  assert.deepEqual(
    [nobody.total.calls, nobody.total.p95_ms, nobody.spenders, nobody.budgets],
    [0, null, [], []],
  );
});
