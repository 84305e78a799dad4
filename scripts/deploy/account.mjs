// What a Cloudflare account has, asked of wrangler, and what is made there where it is missing.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../setup.mjs";
import { Stop, WORKERS, addresses, configured, plan as planOf, readSettings } from "./stage.mjs";
import { WranglerError, json, wrangler } from "./wrangler.mjs";

/** The account that wrangler may act on, or null where nobody is signed in. */
export async function signedIn() {
  let who;
  try {
    who = json(await wrangler(["whoami", "--json"]));
  } catch (error) {
    if (error instanceof WranglerError && /not authenticated|not logged in|"loggedIn": ?false/i.test(error.output)) return null;
    throw error;
  }
  if (who.loggedIn === false) return null;
  const wanted = process.env.CLOUDFLARE_ACCOUNT_ID;
  const accounts = who.accounts ?? [];
  // A token may be allowed to act on an account and not to list it.
  if (wanted) return accounts.find((account) => account.id === wanted) ?? { id: wanted, name: wanted };
  if (accounts.length === 1) return accounts[0];
  const list = accounts.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
  throw new Stop(`CLOUDFLARE_ACCOUNT_ID must say which account is meant:\n${list || "  (none can be listed)"}`);
}

/** Ids, or for what has none `true`, of what the plan names and the account has. */
export async function existing(plan) {
  const [namespaces, databases, project, ...queues] = await Promise.all([
    wrangler(["kv", "namespace", "list"]).then(json),
    wrangler(["d1", "list", "--json"]).then(json),
    pagesProject(plan),
    ...plan.queues.map((queue) => answers(["queues", "info", queue], /does not exist/)),
  ]);
  const found = new Map();
  for (const { id, title } of namespaces) if (plan.namespaces.includes(title)) found.set(title, id);
  for (const { uuid, name } of databases) if (plan.databases.includes(name)) found.set(name, uuid);
  plan.queues.forEach((queue, i) => queues[i] === null || found.set(queue, true));
  if (project) found.set(`pages:${plan.project}`, project);
  return found;
}

/** The first host of the Pages project; undefined where there is no such project. */
async function pagesProject({ project }) {
  const projects = json(await wrangler(["pages", "project", "list", "--json"]));
  const found = projects.find((entry) => entry["Project Name"] === project);
  return found && found["Project Domains"].split(",").map((host) => host.trim()).find((host) => host.endsWith(".pages.dev"));
}

/** Names of the secrets of each Worker; null where there is no such Worker. */
export async function secretsOf(plan) {
  const of = async (worker) => {
    const text = await answers(["secret", "list", "--name", plan.config.env[worker].name, "--format", "json"], /10007|not found|does not exist/i);
    return [worker, text === null ? null : json(text).map((secret) => secret.name)];
  };
  return Object.fromEntries(await Promise.all(WORKERS.map(of)));
}

/** What wrangler answers; null where it fails saying what `absent` matches. */
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
  namespace: async (title) => idIn(await wrangler(["kv", "namespace", "create", title]), /id"?\s*[=:]\s*"([0-9a-f]{32})"/),
  database: async (name) => idIn(await wrangler(["d1", "create", name]), /database_id"?\s*[=:]\s*"([0-9a-f-]{36})"/),
  // As long as a queue may keep a message: a database that is away for days loses nothing.
  queue: (name) => wrangler(["queues", "create", name, "--message-retention-period-secs", "1209600"]),
  project: async (plan) => {
    await wrangler(["pages", "project", "create", plan.project, "--production-branch", "main"]);
    return pagesProject(plan);
  },
};

/** Tells Pages that the UI answers on `host` too; what Pages says of it: `active`, or what it still waits for. */
export async function attachDomain(account, project, host) {
  const base = process.env.CLOUDFLARE_API_BASE_URL ?? "https://api.cloudflare.com/client/v4";
  const token = process.env.CLOUDFLARE_API_TOKEN ?? json(await wrangler(["auth", "token", "--json"])).token;
  const ask = async (method, path, body) => {
    const response = await fetch(`${base}/accounts/${account.id}/pages/projects/${project}/domains${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Stop(`${host} cannot be added to Pages: ${answer.errors?.map((error) => error.message).join("; ")}`);
    return answer.result;
  };
  const known = (await ask("GET", "")).find((domain) => domain.name === host);
  return (known ?? (await ask("POST", "", { name: host }))).status;
}

/** A stage that is deployed, for the scripts that operate it: its plan, with wrangler's configuration written. */
export async function open(stage) {
  const account = await signedIn();
  if (!account) throw new Stop("Nobody is signed in to Cloudflare: npx wrangler login, or set CLOUDFLARE_API_TOKEN");
  process.env.CLOUDFLARE_ACCOUNT_ID = account.id;
  const plan = planOf(stage);
  const settings = readSettings(stage);
  const ids = await existing(plan);
  const missing = [...plan.namespaces, ...plan.databases].filter((name) => !ids.has(name));
  if (missing.length > 0) throw new Stop(`${missing.join(" and ")} is not in account ${account.name}: is ${stage} deployed there?`);
  const at = addresses(stage, plan.config, settings);
  writeFileSync(plan.configFile, `${JSON.stringify(configured(plan, { ids, at, settings: { bootstrap_admins: [], ...settings } }), null, 2)}\n`);
  const withConfig = ["--env", "admin-api", "--config", plan.configFile];
  return {
    plan,
    withConfig,
    /** Runs SQL on the stage's D1 and answers the rows of its last statement. */
    sql: async (text) => {
      const command = text.replace(/^--.*$/gm, "").trim();
      return json(await wrangler(["d1", "execute", "DB", "--remote", "--json", "--command", command, ...withConfig])).at(-1).results;
    },
  };
}

/** A text file beside the scripts. */
export const sqlFile = (name) => path.join(root, "scripts/sql", name);
