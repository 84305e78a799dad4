// Runs both Workers on the real runtime with KV, D1, R2 and queue, the local issuer and a recording upstream.
//
// There are two ways to start the same system. `startSystem` is wrangler's test harness: it builds as a deploy
// does and routes by host. Its Workers call out through Node's `fetch`, which follows redirects and
// answers for a dead upstream, so tests that depend on the network itself use `startOnSockets`:
// the system of `npm start`, on separate ports. Either way both Workers run under production's limits (strict.mjs), and
// `stop` fails if a limit was hit that the test does not expect.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { startIssuer } from "../../local/issuer.mjs";
import { startUpstream } from "../../local/upstream.mjs";
import { DATABASES, SECRETS, startWorkers, takenPorts } from "../../local/system.mjs";
import { root } from "../../scripts/setup.mjs";
import {
  deadLetters,
  front,
  hangingUp,
  strictConfig,
  strictOptions,
  strictVars,
  watch,
} from "./strictness.mjs";
import { mintToken, seal, sha256 } from "./tokens.mjs";
import { usageOf } from "./usage.mjs";

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const UI = "http://localhost:8789";
const LANE = Number(process.env.TEST_LANE ?? 0);

/** Repeats `check` until it returns something truthy, for at most `ms`. */
export async function eventually(check, ms = 10_000, what = "it") {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${ms} ms`);
    await sleep(100);
  }
}

/** Lists the processes of the runtime that this one started. */
export function runtimePids() {
  return execFileSync("pgrep", ["-P", String(process.pid), "workerd"], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map(Number);
}

/** Returns the resident memory of the largest of them, in bytes. */
export function runtimeMemory() {
  const resident = (pid) =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
  return Math.max(...runtimePids().map(resident));
}

const key = () => randomBytes(32).toString("base64");

async function surroundings() {
  const [upstream, issuer] = await Promise.all([startUpstream(), startIssuer({ origin: UI })]);
  const secrets = Object.fromEntries(SECRETS.map((name) => [name, key()]));
  const vars = {
    gateway: { ALLOW_INSECURE_UPSTREAMS: "true", USAGE_FLUSH_MS: "100", LOG_CALLS: "false" },
    api: {
      ALLOW_INSECURE_UPSTREAMS: "true",
      LOG_CALLS: "false",
      ALLOWED_ORIGINS: UI,
      CLERK_ISSUER: issuer.url,
      BOOTSTRAP_ADMINS: "user_admin",
      // Its calls and rows would be among those that tests count.
      CANARY_EVERY_MIN: "0",
    },
  };
  return {
    upstream,
    issuer,
    secrets,
    vars,
    origin: UI,
    jwt: (user = "admin", options) => issuer.sign(`user_${user}`, options),
    stopSurroundings: () => Promise.all([upstream.close(), issuer.close()]),
  };
}

/** Closes everything else if a start fails: an open server would keep the test process alive. */
async function withSurroundings(start) {
  const around = await surroundings();
  try {
    return await start(around);
  } catch (error) {
    await around.stopSurroundings();
    throw error;
  }
}

/** Starts the system on wrangler's test harness. `gatewayVars` and `apiVars` are merged over the defaults. */
export const startSystem = (options) => withSurroundings((around) => onHarness(around, options));

/**
 * @param {any} around
 * @param {Record<string, any>} [options]
 */
async function onHarness(around, { gatewayVars = {}, apiVars = {}, schema = true, strict, expected } = {}) {
  const { secrets, vars } = around;
  const configPath = strictConfig();
  const limits = strictVars(strict);
  // Loaded here alone: it takes a second, and most files start on sockets.
  const { createTestHarness } = await import("wrangler");
  const server = createTestHarness({
    root,
    workers: [
      { configPath, env: "gateway", vars: { ...vars.gateway, ...limits, ...gatewayVars }, secrets },
      { configPath, env: "admin-api", vars: { ...vars.api, ...limits, ...apiVars }, secrets },
    ],
  });
  await server.listen();
  const [gateway, api] = ["token-manager-gateway", "token-manager-admin-api"].map((name) =>
    server.getWorker(name),
  );
  const { DB, USAGE_DB, TOKENS } = await api.getEnv();
  if (schema) await applySchema({ DB, USAGE_DB });
  const watched = watch(
    {
      gateway: (where) => gateway.fetch(`http://gateway.test${where}`),
      api: (where) => api.fetch(`http://api.test${where}`),
    },
    expected,
  );
  const call = (where, init) => api.fetch(`http://api.test${where}`, { redirect: "manual", ...init });
  return {
    ...around,
    ...watched,
    kv: TOKENS,
    db: DB,
    usage: usageOf(USAGE_DB, (where) => as({ ...around, call }, "admin", "GET", where)),
    gateway: (where, init) => gateway.fetch(`http://gateway.test${where}`, { redirect: "manual", ...init }),
    call,
    cron: () => api.scheduled({ cron: "* * * * *", scheduledTime: new Date() }),
    logs: () => JSON.stringify(server.getLogs()),
    stop: () =>
      watched.stopWatching(async () => {
        await server.close();
        await around.stopSurroundings();
      }),
  };
}

/**
 * A port below those that the system gives to outgoing connections. Test files that run at the same time take theirs
 * from ranges of their own (`TEST_LANE`).
 */
const somePort = () => 20_000 + 4_000 * LANE + Math.floor(Math.random() * 4_000);

/** The first of `count` ports in a row that are all free, as `PORT_BASE` needs them. */
export async function freeRow(count) {
  for (;;) {
    const first = somePort();
    const row = Array.from({ length: count }, (_, i) => first + i);
    if ((await takenPorts(row)).length === 0) return first;
  }
}

/** `count` different free ports. */
export async function freePorts(count) {
  const ports = new Set();
  while (ports.size < count) ports.add(await freeRow(1));
  return [...ports];
}

/**
 * On sockets, as `npm start` runs it. `persist` keeps the state in a folder; without the API the gateway's events wait
 * in the queue. KV, queue, databases and bucket can be made to fail (`faults()`). With `bucket` raw calls are kept in
 * CALLS. `strict` changes how late KV is and how the queue delivers (`{ kvLateMs, kvDelayMs, disturbance }`), `expected` lists limits that the test hits on purpose; only a benchmark
 * switches the limits off (`strict: false`). `builds`, also of each version, names other builds of the Workers (`buildOf`).
 * With `keepLetters` the dead letters are kept in `letters`.
 */
export const startOnSockets = (options) => withSurroundings((around) => onSockets(around, options));

/**
 * @param {any} around
 * @param {Record<string, any>} [options]
 */
async function onSockets(
  around,
  {
    gatewayVars = {},
    apiVars = {},
    schema = true,
    persist,
    ui = false,
    withApi = true,
    versions = [],
    builds,
    metrics = false,
    bucket = false,
    strict = {},
    expected,
    consumer,
    keepLetters = false,
    rates,
  } = {},
) {
  const { secrets, vars } = around;
  const [gateway, api, uiPort, frontPort] = await freePorts(4);
  const more = await Promise.all(
    versions.map(async (version) => {
      const [gateway, api] = await freePorts(2);
      return { ...version, at: { gateway, api } };
    }),
  );
  const letters = [];
  const lines = [];
  const origins = ui ? { ALLOWED_ORIGINS: `${UI},http://localhost:${uiPort}` } : {};
  const issuerPort = Number(new URL(around.issuer.url).port);
  const limits = strict && strictVars(strict);
  const workers = await startWorkers(
    { gateway, api, ui: uiPort, issuer: issuerPort },
    {
      onLog: (line) => lines.push(line),
      persist,
      ui,
      api: withApi,
      versions: more,
      metrics,
      bucket,
      builds,
      consumer,
      rates,
      vars: {
        gateway: { ...secrets, ...vars.gateway, ...limits, ...gatewayVars },
        "admin-api": { ...secrets, ...vars.api, ...limits, ...origins, ...apiVars },
      },
      extra: [front(frontPort), ...(keepLetters ? [deadLetters(letters)] : [])],
      ...(strict && strictOptions()),
    },
  );
  const databases = withApi ? await databasesOf(workers) : undefined;
  if (schema && databases) await applySchema(databases);
  const urls = {
    gateway: `http://127.0.0.1:${gateway}`,
    api: `http://127.0.0.1:${api}`,
    ui: `http://127.0.0.1:${uiPort}`,
  };
  const running = { gateway: urls.gateway, ...(withApi && { api: urls.api }) };
  for (const { name, at } of more)
    Object.assign(running, {
      [`gateway-${name}`]: `http://127.0.0.1:${at.gateway}`,
      [`api-${name}`]: `http://127.0.0.1:${at.api}`,
    });
  const watched = watch(
    strict
      ? Object.fromEntries(
          Object.entries(running).map(([name, url]) => [name, (where) => fetch(url + where)]),
        )
      : {},
    expected,
  );
  const call = (where, init) => fetch(urls.api + where, { redirect: "manual", ...init });
  return {
    ...around,
    ...watched,
    urls,
    workers,
    letters,
    kv: await workers.getKVNamespace("TOKENS", "gateway"),
    db: databases?.DB,
    usage:
      databases && usageOf(databases.USAGE_DB, (where) => as({ ...around, call }, "admin", "GET", where)),
    gateway: (where, init) => fetch(urls.gateway + where, { redirect: "manual", ...init }),
    call,
    /** The addresses of the further versions, by their names. */
    versions: Object.fromEntries(
      more.map(({ name, at }) => [
        name,
        { gateway: `http://127.0.0.1:${at.gateway}`, api: `http://127.0.0.1:${at.api}` },
      ]),
    ),
    cron: async (version) =>
      /** @type {any} */ (await workers.getWorker(version ? `admin-api-${version}` : "admin-api")).scheduled({
        cron: "* * * * *",
      }),
    /** Delivers a batch to the consumer, as the queue would: `[{ id, body, attempts? }]`. */
    deliver: async (messages, queue = "token-manager-usage") => {
      const consumer = /** @type {any} */ (await workers.getWorker("admin-api"));
      const batch = messages.map((message) => ({ timestamp: new Date(), attempts: 1, ...message }));
      return consumer.queue(queue, batch);
    },
    ...hangingUp(`http://127.0.0.1:${frontPort}`),
    /** The uses of a token's limits, from its counter itself. */
    uses: async (token, limits) => {
      const body = JSON.stringify({ uses: { limits } });
      return (await fetch(`${urls.gateway}/__limiter/${token}`, { method: "POST", body })).json();
    },
    /** Asks the change feed itself (`domain/src/feed.rs`). */
    feed: async (command) => {
      const body = JSON.stringify(command);
      return (await fetch(`${urls.gateway}/__feed`, { method: "POST", body })).json();
    },
    /** Stops the consumer, and starts it again; in between the messages wait. */
    consumer: {
      stop: () => fetch(`${urls.api}/__faults`, { method: "PUT", body: `{"consumer":{"stopped":true}}` }),
      start: () => fetch(`${urls.api}/__faults`, { method: "PUT", body: `{"consumer":null}` }),
    },
    /** Sets what fails at "gateway", "api" or "gateway-…" of a version from now on, and returns the counts. */
    faults: async (at, change = {}) => {
      const url = running[at] ?? urls[at];
      const response = await fetch(`${url}/__faults`, { method: "PUT", body: JSON.stringify(change) });
      if (!response.ok) throw new Error("this system has no faults: it was started with `strict: false`");
      return response.json();
    },
    /** The gateway's wasm: the size of its memory, and the crossings of its border (crossings.mjs). */
    wasm: async () => (await fetch(`${urls.gateway}/__wasm`)).json(),
    logs: () => lines.join("\n"),
    stop: () =>
      watched.stopWatching(async () => {
        await workers.dispose();
        await around.stopSurroundings();
      }),
  };
}

/** The databases of the admin API, by their bindings. */
export async function databasesOf(workers) {
  const names = Object.keys(DATABASES);
  const databases = await Promise.all(names.map((name) => workers.getD1Database(name, "admin-api")));
  return Object.fromEntries(names.map((name, i) => [name, databases[i]]));
}

/** The files that make the schema of a database, in their order. */
export const migrationsOf = (binding) =>
  readdirSync(path.join(root, DATABASES[binding]))
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name) => path.join(root, DATABASES[binding], name));

/** Applies the migrations to each database, and puts the local system's people into DB. */
export async function applySchema(databases) {
  for (const [binding, db] of Object.entries(databases)) {
    const seed = binding === "DB" ? [path.join(root, "local/seed.sql")] : [];
    for (const file of [...migrationsOf(binding), ...seed]) {
      const statements = readFileSync(file, "utf8")
        .replace(/^\s*--.*$/gm, "")
        .split(/;\s*$/m)
        .map((s) => s.trim())
        .filter(Boolean);
      await db.batch(statements.map((statement) => db.prepare(statement)));
    }
  }
}

/** Writes a token record into KV as the admin API does, and returns the token. */
export async function putToken(system, record = {}, token = mintToken(system.secrets.TOKEN_CHECK_KEY)) {
  const whole = {
    v: 2,
    id: `tok_${randomBytes(6).toString("hex")}`,
    name: "test",
    team: "automation",
    scopes: ["*"],
    state: "active",
    version: 1,
    ...record,
  };
  const hash = sha256(token);
  await publish(system, `token:${hash}`, whole, (value) => ({ tokens: [[hash, value]] }));
  return token;
}

/** Writes a value into KV and, if it is not the first, appends it to the change feed, as the admin API does. */
async function publish(system, key, value, append) {
  const { version } = value;
  const text = JSON.stringify(value);
  await system.kv.put(key, text);
  if (version > 1) await system.feed({ append: append({ version, text }) });
}

/** Writes a route table into KV. Each route is `[path, url path on the upstream, more]`. */
export async function putRoutes(system, routes, { legacy_tokens = false, version = 1 } = {}) {
  const base = system.upstream.url;
  const entries = routes.map(([route, to, { credential = undefined, ...more } = {}]) => {
    const id = `rte_${route.replaceAll("/", "_")}`;
    const url = to.startsWith("http") ? to : base + to;
    const sealed = credential && seal(credential, id, new URL(url).origin, system.secrets.CREDENTIAL_KEY);
    return { id, path: route, url, ...(sealed && { credential: sealed }), ...more };
  });
  const table = { v: 2, version, legacy_tokens, routes: entries };
  await publish(system, "routes", table, (value) => ({ tables: [["routes", value]] }));
}

/** Calls the admin API as a person, with JSON in both directions. */
export async function as(system, user, method, where, body, headers = {}) {
  const response = await system.call(where, {
    method,
    headers: { authorization: `Bearer ${system.jwt(user)}`, "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : null };
}
