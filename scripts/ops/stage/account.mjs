// The resources of a Cloudflare account, through wrangler; missing ones are created.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../setup.mjs";
import { Stop, WORKERS, addresses, configured, plan as planOf, readSettings } from "./stage.mjs";
import { WranglerError, json, wrangler } from "./wrangler.mjs";

/** The account that wrangler may act on, or null if nobody is signed in. */
export async function signedIn() {
  let who;
  try {
    who = json(await wrangler(["whoami", "--json"]));
  } catch (error) {
    if (
      error instanceof WranglerError &&
      /not authenticated|not logged in|"loggedIn": ?false/i.test(error.output)
    )
      return null;
    throw error;
  }
  if (who.loggedIn === false) return null;
  const wanted = process.env.CLOUDFLARE_ACCOUNT_ID;
  const accounts = who.accounts ?? [];
  // A token may be allowed to act on an account and not to list it.
  if (wanted) return accounts.find((account) => account.id === wanted) ?? { id: wanted, name: wanted };
  if (accounts.length === 1) return accounts[0];
  const list = accounts.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
  throw new Stop(
    `CLOUDFLARE_ACCOUNT_ID must say which account is meant:\n${list || "  (none can be listed)"}`,
  );
}

/** The rule by which a bucket deletes raw calls. */
const EXPIRY = "calls";

/**
 * Ids of the plan's resources that the account has, by kind and name, such as `d1:token-manager`: a queue may be named as
 * a database is. `true` for those without an id.
 */
export async function existing(plan) {
  const [namespaces, databases, project, queues, buckets] = await Promise.all([
    wrangler(["kv", "namespace", "list"]).then(json),
    wrangler(["d1", "list", "--json"]).then(json),
    pagesProject(plan),
    Promise.all(plan.queues.map((queue) => answers(["queues", "info", queue], /does not exist/))),
    Promise.all(
      plan.buckets.map((bucket) => answers(["r2", "bucket", "lifecycle", "list", bucket], /does not exist/)),
    ),
  ]);
  const found = new Map();
  for (const { id, title } of namespaces) if (plan.namespaces.includes(title)) found.set(`kv:${title}`, id);
  for (const { uuid, name } of databases)
    if (Object.values(plan.databases).includes(name)) found.set(`d1:${name}`, uuid);
  plan.queues.forEach((queue, i) => queues[i] === null || found.set(`queue:${queue}`, true));
  plan.buckets.forEach((bucket, i) => {
    if (buckets[i] !== null) found.set(`r2:${bucket}`, true);
    if (new RegExp(`^name:\\s+${EXPIRY}$`, "m").test(buckets[i] ?? "")) found.set(`expiry:${bucket}`, true);
  });
  if (project) found.set(`pages:${plan.project}`, project);
  return found;
}

/** The first host of the Pages project; undefined if there is no such project. */
async function pagesProject({ project }) {
  const projects = json(await wrangler(["pages", "project", "list", "--json"]));
  const found = projects.find((entry) => entry["Project Name"] === project);
  return (
    found &&
    found["Project Domains"]
      .split(",")
      .map((host) => host.trim())
      .find((host) => host.endsWith(".pages.dev"))
  );
}

/** Names of the secrets of each Worker; null if there is no such Worker. */
export async function secretsOf(plan) {
  const of = async (worker) => {
    const text = await answers(
      ["secret", "list", "--name", plan.config.env[worker].name, "--format", "json"],
      /10007|not found|does not exist/i,
    );
    return [worker, text === null ? null : json(text).map((secret) => secret.name)];
  };
  return Object.fromEntries(await Promise.all(WORKERS.map(of)));
}

/** Whether the deployed gateway lacks a Durable Object of this version, which the admin API could not bind yet. */
export async function lacksObjects(account, plan) {
  const { name, migrations } = plan.config.env.gateway;
  const service = await cloudflare(account.id)("The gateway", "GET", `/workers/services/${name}`);
  return service.default_environment.script.migration_tag !== migrations.at(-1).tag;
}

/** wrangler's output; null if it fails with a message that `absent` matches. */
async function answers(args, absent) {
  try {
    return await wrangler(args);
  } catch (error) {
    if (error instanceof WranglerError && absent.test(error.output)) return null;
    throw error;
  }
}

const idIn = (text, pattern) => {
  const id = text.match(pattern)?.[1];
  if (!id) throw new Stop(`wrangler's answer holds no id:\n${text}`);
  return id;
};

export const create = {
  namespace: async (title) =>
    idIn(await wrangler(["kv", "namespace", "create", title]), /id"?\s*[=:]\s*"([0-9a-f]{32})"/),
  database: async (name) =>
    idIn(await wrangler(["d1", "create", name]), /database_id"?\s*[=:]\s*"([0-9a-f-]{36})"/),
  // As long as a queue may keep a message: a database that is down for days loses nothing.
  queue: (name) => wrangler(["queues", "create", name, "--message-retention-period-secs", "1209600"]),
  bucket: (name) => wrangler(["r2", "bucket", "create", name]),
  expiry: (bucket, days) =>
    wrangler(["r2", "bucket", "lifecycle", "add", bucket, EXPIRY, "--expire-days", String(days), "--force"]),
  project: async (plan) => {
    await wrangler(["pages", "project", "create", plan.project, "--production-branch", "main"]);
    return pagesProject(plan);
  },
};

/**
 * Asks Cloudflare's API about the account, with wrangler's own sign-in. `body` is sent as JSON, a text unchanged. A sign-in
 * that has expired is renewed once.
 */
export function cloudflare(accountId) {
  const base = process.env.CLOUDFLARE_API_BASE_URL ?? "https://api.cloudflare.com/client/v4";
  let token = process.env.CLOUDFLARE_API_TOKEN;
  const signIn = async () =>
    (token = process.env.CLOUDFLARE_API_TOKEN ?? json(await wrangler(["auth", "token", "--json"])).token);
  const send = (method, path, body) =>
    fetch(`${base}/accounts/${accountId}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": typeof body === "string" ? "text/plain" : "application/json",
      },
      body: typeof body === "string" ? body : body && JSON.stringify(body),
    });
  return async (what, method, path, body) => {
    if (!token) await signIn();
    let response = await send(method, path, body);
    for (
      let tries = 1;
      tries < 6 && (response.status === 401 || response.status === 429 || response.status >= 500);
      tries += 1
    ) {
      if (response.status === 401 && tries > 1) break;
      if (response.status === 401) await signIn();
      else await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** tries));
      response = await send(method, path, body);
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok)
      throw new Stop(
        `${what}: Cloudflare answers ${response.status} ${answer.errors?.map((error) => error.message).join("; ") ?? ""}`,
      );
    return answer.result;
  };
}

/** Connects Pages to `host`. Returns its status: `active`, or what it is still waiting for. */
export async function attachDomain(account, project, host) {
  const ask = cloudflare(account.id);
  const domains = `/pages/projects/${project}/domains`;
  const what = `${host} cannot be added to Pages`;
  const known = (await ask(what, "GET", domains)).find((domain) => domain.name === host);
  return (known ?? (await ask(what, "POST", domains, { name: host }))).status;
}

/** Runs SQL on a D1 database and returns the rows of its last statement. Several statements take no parameters. */
export function database(ask, id) {
  return async (text, params = []) => {
    const sql = text.replace(/^--.*$/gm, "").trim();
    const results = await ask("The database", "POST", `/d1/database/${id}/query`, { sql, params });
    return results.at(-1).results;
  };
}

/** Everything that the account has of a kind. */
async function listed(ask, path) {
  const found = [];
  for (let page = 1; ; page += 1) {
    const more = await ask("The account", "GET", `${path}?per_page=100&page=${page}`);
    found.push(...more);
    if (more.length < 100) return found;
  }
}

/** A stage that is deployed, for the scripts that operate it: its plan, with wrangler's configuration written. */
export async function open(stage) {
  const { CLOUDFLARE_ACCOUNT_ID: id, CLOUDFLARE_API_TOKEN: token } = process.env;
  const account = id && token ? { id, name: id } : await signedIn();
  if (!account)
    throw new Stop("Nobody is signed in to Cloudflare: npx wrangler login, or set CLOUDFLARE_API_TOKEN");
  process.env.CLOUDFLARE_ACCOUNT_ID = account.id;
  const plan = planOf(stage);
  const settings = readSettings(stage);
  const ask = cloudflare(account.id);
  /** @type {Map<string, string>} */
  const ids = new Map();
  for (const { title, id } of await listed(ask, "/storage/kv/namespaces")) ids.set(`kv:${title}`, id);
  for (const { name, uuid } of await listed(ask, "/d1/database")) ids.set(`d1:${name}`, uuid);
  const missing = [
    ...plan.namespaces.filter((title) => !ids.has(`kv:${title}`)),
    ...Object.values(plan.databases).filter((name) => !ids.has(`d1:${name}`)),
  ];
  if (missing.length > 0)
    throw new Stop(`${missing.join(" and ")} is not in account ${account.name}: is ${stage} deployed there?`);
  const at = addresses(stage, plan.config, settings);
  writeFileSync(
    plan.configFile,
    `${JSON.stringify(configured(plan, { ids, at, settings: { bootstrap_admins: [], ...settings } }), null, 2)}\n`,
  );
  const value = (key) =>
    `/storage/kv/namespaces/${ids.get(`kv:${plan.namespaces[0]}`)}/values/${encodeURIComponent(key)}`;
  return {
    plan,
    withConfig: ["--env", "admin-api", "--config", plan.configFile],
    sql: database(ask, ids.get(`d1:${plan.databases.DB}`)),
    kv: {
      put: (key, text) => ask("KV", "PUT", value(key), text),
      delete: (key) => ask("KV", "DELETE", value(key)),
    },
  };
}

/** A text file beside the scripts. */
export const sqlFile = (name) => path.join(root, "scripts/ops/derived", name);
