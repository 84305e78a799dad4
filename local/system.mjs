// The whole system in one process on the real Workers runtime, with local KV, D1, R2 and queues.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import { policy } from "../scripts/build/headers.mjs";
import { root, run } from "../scripts/setup.mjs";
import { configured } from "./configured.mjs";

/** The databases, by their bindings, and the folders of their migrations. */
export const DATABASES = { DB: "d1-migrations", USAGE_DB: "usage-migrations" };

/** State and its settings; both survive restarts and are ignored by git. */
const home = path.resolve(root, process.env.TOKEN_MANAGER_HOME ?? ".wrangler");
export const state = path.join(home, "state");
export const localFiles = path.join(home, "local");

/** The five ports of the local system. */
export function ports(base = Number(process.env.PORT_BASE ?? 8787)) {
  if (!Number.isInteger(base) || base < 1 || base > 65_531)
    throw new Error("PORT_BASE must be a port number");
  return { gateway: base, api: base + 1, ui: base + 2, issuer: base + 3, upstream: base + 4 };
}

/** Returns those of the ports that are in use. */
export async function takenPorts(all) {
  const isTaken = (port) =>
    new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(true));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(false)));
    });
  const taken = await Promise.all(all.map(isTaken));
  return all.filter((_, i) => taken[i]);
}

/** The keys of the Workers, 256 random bits each. */
export const SECRETS = ["TOKEN_CHECK_KEY", "CREDENTIAL_KEY", "DERIVE_KEY", "USAGE_LOG_KEY"];

/** Makes `.dev.vars` with random secrets, and adds those that a later version needs. */
export function ensureSecrets() {
  const file = path.join(root, ".dev.vars");
  const present = existsSync(file) ? readFileSync(file, "utf8") : "";
  const missing = SECRETS.filter((name) => !new RegExp(`^${name}=`, "m").test(present));
  if (missing.length === 0) return;
  const lines = missing.map((name) => `${name}=${randomBytes(32).toString("base64")}\n`);
  writeFileSync(file, [present && !present.endsWith("\n") ? `${present}\n` : present, ...lines].join(""), {
    mode: 0o600,
  });
}

/** The differences from production: addresses, and that upstreams may be local. */
export function localVars(at) {
  return {
    gateway: { ALLOW_INSECURE_UPSTREAMS: "true", LOG_CALLS: "false" },
    "admin-api": {
      ALLOW_INSECURE_UPSTREAMS: "true",
      LOG_CALLS: "false",
      ALLOWED_ORIGINS: `http://localhost:${at.ui},http://127.0.0.1:${at.ui}`,
      CLERK_ISSUER: `http://localhost:${at.issuer}`,
      BOOTSTRAP_ADMINS: "user_admin",
    },
  };
}

/** @returns {Promise<any>} */
async function worker(env, port, vars, { entry = [], folder = root, rates = {} } = {}) {
  const { modulesRules: _rules, zone: _zone, rootPath: _root, ...rest } = await configured(env);
  for (const object of Object.values(rest.durableObjects)) {
    if (object.scriptName) object.scriptName = object.scriptName.replace(/^token-manager-/, "");
  }
  for (const service of Object.values(rest.serviceBindings ?? {}))
    service.name = service.name.replace(/^token-manager-/, "");
  for (const [name, limit] of Object.entries(rates))
    if (rest.ratelimits?.[name]) rest.ratelimits[name].simple.limit = limit;
  const file = (type, name) => ({ type, path: path.join(folder, env, "build", name) });
  return {
    ...rest,
    name: env,
    modulesRoot: root,
    modules: [...entry, file("ESModule", "index.js"), file("CompiledWasm", "index_bg.wasm")],
    bindings: { ...rest.bindings, ...vars },
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  };
}

/**
 * The UI's files, with the configuration of this system in place of production's.
 * @returns {any}
 */
function uiWorker(port, at, clerkKey) {
  const config = {
    api: `http://localhost:${at.api}`,
    gateway: `http://localhost:${at.gateway}`,
    issuer: `http://localhost:${at.issuer}`,
    clerk_publishable_key: clerkKey,
  };
  return {
    name: "ui",
    compatibilityDate: "2026-11-01",
    modules: true,
    script: `const config = ${JSON.stringify(JSON.stringify(config))}, policy = ${JSON.stringify(policy(config))};
      export default { async fetch(request, env) {
        if (new URL(request.url).pathname === "/config.json")
          return new Response(config, { headers: { "content-type": "application/json", "cache-control": "no-store" } });
        const answer = await env.ASSETS.fetch(request);
        const local = new Response(answer.body, answer);
        local.headers.set("content-security-policy", policy);
        return local;
      } };`,
    assets: {
      directory: path.join(root, "admin-ui/dist"),
      binding: "ASSETS",
      routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: true },
      assetConfig: { not_found_handling: "single-page-application" },
    },
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  };
}

/** Bindings of a Worker that are comments in wrangler.toml. */
const optional = (env, { metrics, bucket }) => ({
  ...(env === "gateway" && metrics && { analyticsEngineDatasets: { METRICS: { dataset: "calls" } } }),
  ...(env === "admin-api" && bucket && { r2Buckets: { CALLS: { id: "token-manager-calls" } } }),
});

/**
 * What the runtime is told to run: both Workers and the UI on `at`. For each Worker, `vars` are merged over the local ones and `builds` names another
 * folder that holds its crate's `build`; `entries(env, folder)` are modules to go in front; without `persist` nothing
 * outlives the process; `onLog` receives the Workers' log lines in place of the console. With `clerkKey` the UI signs in by
 * Clerk's script. `versions` are further instances of both Workers on the same stores, `{ name, at, vars, builds }` each,
 * as on the edge during a deployment. With `metrics` the gateway has its dataset, with `bucket` the admin API its bucket.
 * `consumer` changes how the queue is consumed, `services` are bindings of each Worker, `extra` are Workers to run beside
 * them, and `rates` are limits of rate limit bindings by name, in place of those of `wrangler.toml`.
 * @param {any} at
 * @param {Record<string, any>} [options]
 */
async function options(
  at,
  {
    persist,
    vars = {},
    builds = {},
    entries,
    ui = true,
    api = true,
    clerkKey = null,
    onLog,
    versions = [],
    metrics = false,
    bucket = false,
    consumer,
    services,
    extra = [],
    rates,
  } = {},
) {
  const base = localVars(at);
  const start = async (env, port, version = {}) => {
    const folder = (version.builds ?? builds)[env] ?? root;
    const made = await worker(
      env,
      port,
      { ...base[env], ...vars[env], ...version.vars },
      { entry: entries?.(env, folder), folder, rates },
    );
    const bound = { serviceBindings: { ...made.serviceBindings, ...services } };
    return { ...made, ...optional(env, { metrics, bucket }), ...bound };
  };
  const workers = await Promise.all(
    (api ? ["gateway", "admin-api"] : ["gateway"]).map((env) =>
      start(env, env === "gateway" ? at.gateway : at.api),
    ),
  );
  if (consumer) for (const queue of Object.values(workers[1].queueConsumers)) Object.assign(queue, consumer);
  for (const version of versions) {
    for (const env of ["gateway", "admin-api"]) {
      // A queue has one consumer here, and a token one counter, whichever version asks it.
      const { queueConsumers: _, ...rest } = await start(
        env,
        env === "gateway" ? version.at.gateway : version.at.api,
        version,
      );
      for (const object of Object.values(rest.durableObjects)) object.scriptName ??= "gateway";
      workers.push({ ...rest, name: `${env}-${version.name}` });
    }
  }
  workers.push(...extra);
  if (ui) workers.push(uiWorker(at.ui, at, clerkKey));
  const all = { workers, cf: false, log: new Log(LogLevel.WARN) };
  if (onLog) all.handleStructuredLogs = ({ message }) => onLog(message);
  if (persist) {
    mkdirSync(persist, { recursive: true });
    all.resourcePersistencePath = path.join(persist, "v3");
  }
  return convertV4MiniflareOptions(all);
}

async function started(options) {
  const miniflare = new Miniflare(options);
  await miniflare.ready;
  return miniflare;
}

/** Starts what `options` describes. */
export const startWorkers = async (at, more) => started(await options(at, more));

/** Loads the Workers again as they were built since; what they keep in `persist` stays. */
export const reloadWorkers = async (running, at, more) => running.setOptions(await options(at, more));

const uiAlone = (at) =>
  convertV4MiniflareOptions({ workers: [uiWorker(at.ui, at, null)], cf: false, log: new Log(LogLevel.WARN) });

/** Starts the UI alone on `at`, beside Workers that run already. */
export const startUi = (at) => started(uiAlone(at));

export const reloadUi = (running, at) => running.setOptions(uiAlone(at));

/** Applies the migrations to the local databases. wrangler takes seconds to look, so it runs only if there is a new one. */
export async function migrate(persist = state) {
  for (const [binding, folder] of Object.entries(DATABASES)) {
    const names = readdirSync(path.join(root, folder)).sort();
    const stamp = path.join(persist, folder);
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === names.join("\n")) continue;
    const args = ["d1", "migrations", "apply", binding, "--env", "admin-api", "--local"];
    await run(path.join(root, "node_modules/.bin/wrangler"), [...args, "--persist-to", persist], {
      quiet: true,
      env: { CI: "1" },
    });
    writeFileSync(stamp, names.join("\n"));
  }
}

export function seedSql() {
  return readFileSync(path.join(root, "local/seed.sql"), "utf8");
}
