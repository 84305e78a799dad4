// Configuration as a file: `npm run config`, by an admin API key.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { root } from "../../scripts/setup.mjs";
import { as, startOnSockets } from "../support/harness.mjs";
import { makeAccount } from "../support/service-account.mjs";
import { putKey } from "../support/tokens.mjs";

const folder = mkdtempSync(path.join(tmpdir(), "config-"));
const file = path.join(folder, "token-manager.yaml");
let from;
let to;
before(
  async () => {
    [from, to] = await Promise.all([startOnSockets(), startOnSockets()]);
    for (const system of [from, to]) {
      await as(system, "admin", "GET", "/api/me");
      const may = ["set-credential"];
      system.key = await putKey(system, "user_admin", [["core-team", "ADMIN"]], { may });
    }
  },
  { timeout: 120_000 },
);
after(async () => {
  await Promise.all([from?.stop(), to?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Both systems have the same upstream address in their files. */
const upstream = () => `${from.upstream.url}/echo`;
const run = (system, environment, ...words) =>
  new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [path.join(root, "scripts/ops/config.mjs"), ...words, "--api", system.urls.api],
      { env: { ...process.env, TOKEN_MANAGER_KEY: system.key, ...environment } },
    );
    let [output, errors] = ["", ""];
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (errors += chunk));
    child.on("close", (code) => resolve({ code, output, errors }));
  });
const exported = async (system) => {
  const { code, output, errors } = await run(system, {}, "export");
  assert.equal(code, 0, errors);
  return output;
};
const applied = async (system, environment, ...words) => {
  const result = await run(system, environment, "apply", file, ...words);
  assert.equal(result.code, 0, result.output + result.errors);
  return result.output;
};
const entries = (system) => system.db.prepare("SELECT count(*) AS n FROM audit").first("n");
const account = makeAccount("https://oauth2.googleapis.com/token", { project_id: "vendor-two" });
const CREDENTIALS = {
  API_ONE_CREDENTIAL: JSON.stringify({ kind: "bearer", token: "vendor-one" }),
  API_TWO_CREDENTIAL: JSON.stringify({ kind: "google_service_account", key_file: account.key_file }),
  SYSTEM_CHANNEL_NIGHT_TARGET: JSON.stringify({
    kind: "slack",
    url: "https://hooks.slack.example/vendor-slack",
  }),
  CHANNEL_FINANCE__U591CU73ED_TARGET: JSON.stringify({
    kind: "telegram",
    token: "123456:vendor-bot-vendor-bot-vendor-bot-x",
    chat: "7",
  }),
};

test("an export applied to an empty system gives the same export, and the second apply nothing", async () => {
  const make = async (where, body, method = "POST") => {
    const made = await as(from, "admin", method, where, body);
    assert.ok([200, 201].includes(made.status), JSON.stringify(made.body));
    return made.body;
  };
  await make("/api/teams", {
    id: "finance",
    name: "Finance: 'quoted' # not a comment",
    description: "Two\nlines",
    color: "#0066cc",
    scope_cap: [],
    limits: { calls_per_minute: 60 },
    budget: { cost_micros_per_month: 5_000_000 },
    zone: "Asia/Taipei",
  });
  const settings = {
    keep_errors: true,
    retry_within_s: 20,
    retry_any_method: true,
    ai: { provider: "openai", include_usage: true },
  };
  const one = await make("/api/routes", {
    name: "One",
    path: "/api/one",
    backend_url: upstream(),
    tags: ["ai"],
    methods: ["GET", "POST"],
    timeout_ms: 5_000,
    credential: JSON.parse(CREDENTIALS.API_ONE_CREDENTIAL),
    settings,
  });
  const two = await make("/api/routes", {
    name: "Two",
    path: "/api/two",
    backend_url: upstream(),
    credential: JSON.parse(CREDENTIALS.API_TWO_CREDENTIAL),
    settings: { failover: { route_id: one.id, on_refusal: true, models: { "gpt-4o": "our-4o" } } },
  });
  // They fail over to each other: neither can be made first.
  const both = { ...settings, failover: { route_id: two.id } };
  await make(`/api/routes/${one.id}`, { settings: both }, "PUT");
  const token = await make("/api/tokens", {
    name: "Digest",
    team_id: "automation",
    scopes: ["tag:ai", "GET /api/two/*"],
    expires_days: 30,
    ip_allow: ["10.1.2.3/8"],
    limits: { calls_per_minute: 5, models: ["gpt-4o*"] },
    may_derive: true,
  });
  await make(`/api/tokens/${token.id}/disable`);
  await make("/api/tokens", { name: "Plain", team_id: "automation", scopes: ["*"] });
  await make("/api/prices/own-model", { prompt: 2_500_000, completion: 10_000_000, source: "list" }, "PUT");
  await make("/api/channels", {
    name: "Night",
    target: JSON.parse(CREDENTIALS.SYSTEM_CHANNEL_NIGHT_TARGET),
    events: ["dead-letters", "budget"],
    thresholds: [],
  });
  await make("/api/channels", {
    name: "夜班",
    team_id: "finance",
    target: JSON.parse(CREDENTIALS.CHANNEL_FINANCE__U591CU73ED_TARGET),
    events: ["budget"],
    language: "zh-Hant",
    enabled: false,
  });

  const first = await exported(from);
  assert.doesNotMatch(first, /vendor-|ntk_|rte_|tok_|chn_/, "no secret and no id");
  assert.match(first, /credential: \$\{API_ONE_CREDENTIAL\}/);
  assert.match(first, /target: \$\{SYSTEM_CHANNEL_NIGHT_TARGET\}/);
  assert.match(first, /keep_errors: true/);
  assert.match(first, /on_refusal: true/);
  assert.match(first, /retry_within_s: 20/);
  assert.match(first, /models:\s+gpt-4o: our-4o/);
  assert.match(first, /models:\s+- gpt-4o\*/);
  assert.doesNotMatch(first, /critical/, "the mark of the list of models is no setting");
  writeFileSync(file, first);
  assert.match(await applied(from, {}), /^Nothing differs\./, "without any variable the credentials stay");
  assert.match(await applied(from, CREDENTIALS), /^Nothing differs\.$/m);

  const secrets = path.join(folder, "secrets");
  const output = await applied(to, CREDENTIALS, "--secrets", secrets);
  assert.match(output, /^\+ team finance$/m);
  assert.match(output, /^Plan: 8 to create, 2 to change, 0 to delete\.$/m);
  assert.equal(await exported(to), first);
  const before = await entries(to);
  assert.match(await applied(to, CREDENTIALS), /^Nothing differs\.$/m);
  assert.equal(await entries(to), before, "not even an audit entry");

  assert.equal(statSync(secrets).mode & 0o777, 0o600);
  const made = readFileSync(secrets, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { secret } = made.find((one) => one.token === "automation/Plain");
  const called = await to.gateway("/api/one/x", { headers: { "x-api-key": secret } });
  assert.equal((await called.json()).headers.authorization, "Bearer vendor-one");
});

test("each step is audited as one change by the key", async () => {
  const { results } = await to.db
    .prepare(
      "SELECT action, count(*) AS n FROM audit WHERE actor LIKE 'key_%' GROUP BY action ORDER BY action",
    )
    .all();
  assert.deepEqual(
    results.map(({ action, n }) => [action, n]),
    [
      ["create-channel", 2],
      ["create-route", 2],
      ["create-team", 1],
      ["create-token", 2],
      ["disable-token", 1],
      ["set-price", 1],
      ["update-route", 1],
    ],
  );
});

test("a plan shows exactly what was changed by hand, and an apply undoes it", async () => {
  const { items } = (await as(to, "admin", "GET", "/api/tokens?search=Plain")).body;
  await as(to, "admin", "PUT", `/api/tokens/${items[0].id}`, { description: "by hand" });
  await as(to, "admin", "PUT", "/api/teams/finance", { limits: null });
  await as(to, "admin", "DELETE", "/api/prices/own-model");
  const channels = (await as(to, "admin", "GET", "/api/channels")).body.items;
  const night = channels.find(({ name }) => name === "Night");
  const target = { kind: "slack", url: "https://hooks.slack.example/other" };
  await as(to, "admin", "PUT", `/api/channels/${night.id}`, { thresholds: [90], target });
  const routes = (await as(to, "admin", "GET", "/api/routes?search=/api/two")).body.items;
  await as(to, "admin", "PUT", `/api/routes/${routes[0].id}/credential`, { kind: "bearer", token: "other" });
  const plan = await applied(to, CREDENTIALS, "--dry-run");
  assert.equal(
    plan.trim(),
    [
      "~ team finance",
      '    limits: null -> {"calls_per_minute":60}',
      "~ route /api/two",
      "    credential: ${API_TWO_CREDENTIAL} -> ${API_TWO_CREDENTIAL} (new value)",
      "~ token automation/Plain",
      "    description: by hand -> null",
      "+ price own-model",
      "    completion: 10000000",
      "    model: own-model",
      "    prompt: 2500000",
      "    source: list",
      "~ channel /Night",
      "    target: ${SYSTEM_CHANNEL_NIGHT_TARGET} -> ${SYSTEM_CHANNEL_NIGHT_TARGET} (new value)",
      "    thresholds: [90] -> []",
      "Plan: 1 to create, 4 to change, 0 to delete.",
    ].join("\n"),
  );
  const before = await entries(to);
  assert.equal(await applied(to, CREDENTIALS, "--dry-run"), plan, "a plan changes nothing");
  assert.equal(await entries(to), before);
  await applied(to, CREDENTIALS);
  assert.equal(await exported(to), readFileSync(file, "utf8"));
  assert.match(await applied(to, CREDENTIALS), /Nothing differs/);
});

test("a file with an error changes nothing, and the line and the field are named", async () => {
  const whole = readFileSync(file, "utf8");
  const before = await entries(to);
  const lineOf = (text) => text.split("\n").findIndex((line) => line.includes("HERE")) + 1;
  /** @type {[string, string, RegExp][]} */
  const bad = [
    ["a value", whole.replace("#0066cc", "HERE"), /teams\.\d+\.color must be a colour/],
    [
      "an unknown field",
      whole.replace("timeout_ms: 5000", "HERE_ms: 5000"),
      /routes\.0\.HERE_ms is not a field/,
    ],
    ["a wrong type", whole.replace("timeout_ms: 5000", "timeout_ms: HERE"), /routes\.0\.timeout_ms must be/],
    ["a scope", whole.replace("GET /api/two/*", "GET HERE"), /tokens\.0\.scopes\.1 /],
    ["a time", whole.replace(/expires_at: .*/, "expires_at: HERE"), /tokens\.0\.expires_at must be a time/],
    [
      "a name twice",
      `${whole}  - name: Night # HERE\n    events: [budget]\n`,
      /channels\.\d+\.name is given twice/,
    ],
    ["YAML", whole.replace("version: 1", "version: [1 # HERE"), /./],
  ];
  for (const [what, replaced, message] of bad) {
    writeFileSync(file, replaced);
    const { code, errors } = await run(to, CREDENTIALS, "apply", file);
    assert.equal(code, 1, what);
    assert.match(errors, message, what);
    if (what !== "YAML") assert.ok(errors.includes(`${file}:${lineOf(replaced)}:`), `${what}: ${errors}`);
    else assert.match(errors, /token-manager\.yaml:\d+:\d+: /);
  }
  writeFileSync(file, whole.replace("path: /api/one", "path: /api/new"));
  const unset = await run(to, {}, "apply", file);
  assert.match(unset.errors, /routes\.\d\.credential is missing/, "a new route has none that could stay");
  writeFileSync(file, whole.replace("name: Night", "name: New"));
  const without = await run(to, {}, "apply", file);
  assert.match(without.errors, /channels\.\d\.target is missing/, "nor has a new channel");
  writeFileSync(file, whole.replace("path: /api/one", "path: /api/new"));
  const broken = await run(to, { ...CREDENTIALS, API_ONE_CREDENTIAL: "sk-secret" }, "apply", file);
  assert.match(broken.errors, /API_ONE_CREDENTIAL does not hold JSON/);
  assert.doesNotMatch(broken.errors, /sk-secret/);
  assert.equal(await entries(to), before);
  writeFileSync(file, whole);
});

test("half an apply is finished by the next, and nothing is done on a system that changed since", async () => {
  const config = {
    version: 1,
    tokens: Array.from({ length: 30 }, (_, i) => ({
      name: `Half ${i}`,
      team_id: "automation",
      scopes: ["demo"],
    })),
  };
  const send = (more) => as(to, "admin", "POST", "/api/config", { config, ...more });
  const plan = (await send({ mode: "plan" })).body;
  assert.equal(plan.left, 30);
  await as(to, "admin", "POST", "/api/tokens", { name: "Half 7", team_id: "automation", scopes: ["*"] });
  assert.equal((await send({ mode: "apply", digest: plan.digest })).status, 412);
  const half = (await send({ mode: "apply" })).body;
  assert.ok(half.left > 0 && half.left < 30, `${half.left} are left`);
  assert.ok(half.done.every(({ error }) => error === undefined));
  const whole = readFileSync(file, "utf8");
  writeFileSync(file, JSON.stringify(config));
  await applied(to, {});
  assert.equal((await send({ mode: "plan" })).body.left, 0);
  writeFileSync(file, whole);
});

test("--prune deletes only what an earlier apply made", async () => {
  await as(to, "admin", "POST", "/api/tokens", { name: "By hand", team_id: "automation", scopes: ["*"] });
  const before = await exported(to);
  assert.match(await applied(to, CREDENTIALS), /Nothing differs/, "without it everything stays");
  assert.equal(await exported(to), before);
  const output = await applied(to, CREDENTIALS, "--prune");
  // Half 7 was made by hand and changed by the apply.
  assert.match(output, /Plan: 0 to create, 0 to change, 29 to delete\./);
  const { tokens } = (await as(to, "admin", "GET", "/api/config")).body;
  assert.deepEqual(tokens.map(({ name }) => name).sort(), ["By hand", "Digest", "Half 7", "Plain"]);
  writeFileSync(file, "version: 1\n");
  assert.match(await applied(to, {}, "--prune"), /- team finance/);
  const left = (await as(to, "admin", "GET", "/api/config")).body;
  assert.deepEqual(
    [left.routes, left.channels, left.teams.map(({ id }) => id), left.tokens.map(({ name }) => name).sort()],
    [[], [], ["automation", "core-team"], ["By hand", "Half 7"]],
  );
  const models = left.prices.map(({ model }) => model);
  assert.ok(models.length > 5 && !models.includes("own-model"), "the first prices are nobody's apply");
});

test("an API that cannot be reached is named", async () => {
  const away = { urls: { api: "http://127.0.0.1:1" }, key: to.key };
  const { code, output, errors } = await run(away, {}, "export");
  assert.deepEqual([code, output], [1, ""]);
  assert.match(errors, /^http:\/\/127\.0\.0\.1:1 cannot be reached \(/);
  assert.doesNotMatch(errors, /\n\s+at /, "no stack");
});

test("the schema is published, and a key without roles or powers gets nothing done", async () => {
  const schema = await from.call("/config.schema.json");
  assert.equal((await schema.json()).$schema, "https://json-schema.org/draft/2020-12/schema");
  const key = await putKey(from, "user_admin", [["core-team", "ADMIN"]]);
  const send = async (bearer, body) => {
    const response = await from.call("/api/config", {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return response.status;
  };
  const route = {
    name: "x",
    path: "/api/x",
    backend_url: upstream(),
    credential: { kind: "bearer", token: "x" },
  };
  const config = { version: 1, routes: [route] };
  assert.equal(await send(key, { mode: "plan", config }), 403, "a credential needs the power");
  const looking = await putKey(from, "user_admin", [["core-team", "ADMIN"]], { read_only: 1 });
  const bare = { version: 1, teams: [{ id: "new", name: "New" }] };
  assert.equal(await send(looking, { mode: "plan", config: bare }), 200);
  assert.equal(await send(looking, { mode: "apply", config: bare }), 403);
  const viewer = await putKey(from, "user_admin", [["core-team", "VIEWER"]]);
  assert.equal(await send(viewer, { mode: "apply", config: bare }), 200);
  assert.ok(!(await exported(from)).includes("id: new"), "the step was refused");
});
