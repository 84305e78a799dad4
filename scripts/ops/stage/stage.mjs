// The names and settings of a stage on Cloudflare, derived from wrangler.toml: production uses its names as they
// are, any other stage appends `-<stage>` to each. Pure: no I/O.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { experimental_readRawConfig as readRawConfig } from "wrangler";
import { clerkOrigin } from "../../build/headers.mjs";
import { root } from "../../setup.mjs";

export const PRODUCTION = "production";
/** The Workers of wrangler.toml, by the names of their environments. */
export const WORKERS = ["gateway", "admin-api"];
/** Addresses assigned by Cloudflare: known once the Worker or the Pages project exists. */
export const WORKERS_DEV = "workers.dev";
export const PAGES_DEV = "pages.dev";

/** A problem that the operator can fix; shown without a stack. */
export class Stop extends Error {}

/** Returns wrangler.toml for a stage: each name that must differ between stages is changed. */
function named(stage) {
  const { rawConfig } = readRawConfig({ config: path.join(root, "wrangler.toml") });
  const suffix = stage === PRODUCTION ? "" : `-${stage}`;
  const config = { ...structuredClone(rawConfig), name: rawConfig.name + suffix };
  for (const worker of Object.values(config.env)) {
    worker.name += suffix;
    for (const kv of worker.kv_namespaces ?? []) kv.id += suffix;
    for (const database of worker.d1_databases ?? []) database.database_name += suffix;
    for (const bucket of worker.r2_buckets ?? []) bucket.bucket_name += suffix;
    for (const object of worker.durable_objects?.bindings ?? [])
      if (object.script_name) object.script_name += suffix;
    for (const service of worker.services ?? []) service.service += suffix;
    for (const producer of worker.queues?.producers ?? []) producer.queue += suffix;
    for (const consumer of worker.queues?.consumers ?? []) {
      consumer.queue += suffix;
      if (consumer.dead_letter_queue) consumer.dead_letter_queue += suffix;
    }
    if (worker.vars?.DEAD_LETTERS_QUEUE) worker.vars.DEAD_LETTERS_QUEUE += suffix;
    for (const dataset of worker.analytics_engine_datasets ?? [])
      dataset.dataset += suffix.replaceAll("-", "_");
  }
  return config;
}

const all = (config, pick) => [...new Set(Object.values(config.env).flatMap(pick))];

/** The plan of a stage on Cloudflare, before anything is known about the account. Databases are by their bindings. */
export function plan(stage) {
  if (!/^[a-z][a-z0-9-]{0,20}$/.test(stage))
    throw new Stop(`--stage ${stage}: a stage is named with a-z, 0-9 and '-'`);
  const config = named(stage);
  return {
    stage,
    config,
    configFile: path.join(root, `wrangler.${stage}.json`),
    namespaces: all(config, (worker) => (worker.kv_namespaces ?? []).map((kv) => kv.id)),
    databases: Object.fromEntries(
      all(config, (worker) => worker.d1_databases ?? []).map((one) => [one.binding, one.database_name]),
    ),
    buckets: all(config, (worker) => (worker.r2_buckets ?? []).map((bucket) => bucket.bucket_name)),
    queues: all(config, (worker) => (worker.queues?.producers ?? []).map((producer) => producer.queue)),
    project: config.name,
  };
}

const SETTINGS = ["gateway", "api", "ui", "clerk_publishable_key", "bootstrap_admins"];

/** The operator's decisions for a stage; holds no secret, and belongs in version control. */
export const settingsFile = (stage) => path.join(root, "stages", `${stage}.json`);

export function readSettings(stage) {
  const file = settingsFile(stage);
  const given = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  const unknown = Object.keys(given).filter((name) => !SETTINGS.includes(name));
  if (unknown.length > 0)
    throw new Stop(
      `stages/${stage}.json: ${unknown.join(", ")} is not known; known are ${SETTINGS.join(", ")}`,
    );
  return given;
}

export function writeSettings(stage, settings) {
  mkdirSync(path.dirname(settingsFile(stage)), { recursive: true });
  const ordered = Object.fromEntries(
    SETTINGS.filter((name) => settings[name] !== undefined).map((name) => [name, settings[name]]),
  );
  writeFileSync(settingsFile(stage), `${JSON.stringify(ordered, null, 2)}\n`);
}

/** The addresses of the three parts: from the settings, else wrangler.toml's hosts for production, else Cloudflare's own. */
export function addresses(stage, config, settings) {
  const host = (worker) =>
    stage === PRODUCTION
      ? config.env[worker].routes?.find((route) => route.custom_domain)?.pattern
      : undefined;
  const origin =
    stage === PRODUCTION ? config.env["admin-api"].vars.ALLOWED_ORIGINS.split(",")[0] : undefined;
  const of = (name, fallback, platform) => address(name, settings[name] ?? fallback ?? platform, platform);
  return {
    gateway: of("gateway", host("gateway") && `https://${host("gateway")}`, WORKERS_DEV),
    api: of("api", host("admin-api") && `https://${host("admin-api")}`, WORKERS_DEV),
    ui: of("ui", origin, PAGES_DEV),
  };
}

function address(name, text, platform) {
  if (text === platform) return text;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "https:" || url.pathname !== "/" || url.search)
    throw new Stop(`${name}: ${text} is neither https://host nor ${platform}`);
  return url.origin;
}

/** Whether an address is assigned by Cloudflare, and so needs no domain of your own. */
export const isPlatforms = (text) =>
  [WORKERS_DEV, PAGES_DEV].some((platform) => text === platform || text.endsWith(`.${platform}`));

/** The configuration for wrangler: ids (by kind and name) in place of names, hosts and variables of the stage. */
export function configured({ config }, { ids, at, settings }) {
  const done = structuredClone(config);
  for (const [name, worker] of Object.entries(done.env)) {
    for (const kv of worker.kv_namespaces ?? []) kv.id = ids.get(`kv:${kv.id}`);
    for (const database of worker.d1_databases ?? [])
      database.database_id = ids.get(`d1:${database.database_name}`);
    const own = name === "gateway" ? at.gateway : at.api;
    worker.routes = isPlatforms(own) ? [] : [{ pattern: new URL(own).hostname, custom_domain: true }];
  }
  Object.assign(done.env["admin-api"].vars, {
    ALLOWED_ORIGINS: at.ui,
    CLERK_ISSUER: clerkOrigin(settings.clerk_publishable_key),
    BOOTSTRAP_ADMINS: settings.bootstrap_admins.join(","),
  });
  return done;
}
