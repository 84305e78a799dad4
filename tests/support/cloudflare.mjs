// A stand-in for Cloudflare's API, for the real wrangler to talk to: an account with KV namespaces, D1 databases
// (each a SQLite database in memory that runs what it is sent), R2 buckets, queues, Workers with their secrets, and
// Pages. Its responses have the form that api.cloudflare.com documents and wrangler reads; an unknown path is 404, and a
// request without the account's token 401.
// Its lines are one table of an API's endpoints over one account, so they stay together.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { DatabaseSync } from "node:sqlite";
import { listen } from "../../local/listen.mjs";

export const ACCOUNT = { id: "0".repeat(31) + "1", name: "Acme" };
export const TOKEN = "test-token";

const hex = () => randomUUID().replaceAll("-", "");
const failure = (status, code, message) => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
});
const ok = (result, result_info) => ({
  status: 200,
  body: { success: true, errors: [], messages: [], result, result_info },
});
const paged = (list) =>
  ok(list, { page: 1, per_page: 100, count: list.length, total_count: list.length, total_pages: 1 });

/**
 * Starts it. `account` is its content, `changes` lists the changes made, and `refuse` makes a change fail. `onSecret` is
 * called for each secret that is set by itself, and `refuseSecret` says whether that fails.
 * @param {{ onSecret?: (script: string, key: string, value: string) => void, refuseSecret?: () => boolean }} [options]
 */
export async function startCloudflare({ onSecret = () => {}, refuseSecret = () => false } = {}) {
  const account = {
    namespaces: [],
    databases: [],
    buckets: [],
    queues: [],
    workers: new Map(),
    projects: [],
    deployments: [],
    values: new Map(),
  };
  const changes = [];
  const unknown = [];
  let refused = null;

  const byId = (list, id) => list.find((one) => one.id === id || one.uuid === id || one.queue_id === id);
  const ofBucket = (name, view) => {
    const found = account.buckets.find((bucket) => bucket.name === name);
    return found ? ok(view(found)) : failure(404, 10006, "The specified bucket does not exist.");
  };
  const queueView = (queue) => ({
    ...queue,
    created_on: new Date(0).toISOString(),
    modified_on: new Date(0).toISOString(),
    producers: [],
    producers_total_count: 0,
    consumers: queue.consumers,
    consumers_total_count: queue.consumers.length,
    settings: { delivery_delay: 0, delivery_paused: false, message_retention_period: 345_600 },
  });

  /** Runs SQL as D1 does: statements one after the other, with the result of each. */
  function query(database, { sql, params = [] }) {
    // D1 refuses longer statements too.
    if (sql.length > 100_000) throw new Error("statement too long");
    if (params.some((param) => typeof param === "string" && Buffer.byteLength(param) > 2_000_000))
      throw new Error("string or blob too big");
    const statements = params.length > 0 ? [sql] : splitStatements(sql);
    return statements.map((text) => {
      const results = database.sqlite.prepare(text).all(...params);
      return {
        success: true,
        results,
        meta: {
          duration: 0,
          changes: 0,
          last_row_id: 0,
          rows_read: 0,
          rows_written: 0,
          changed_db: true,
          size_after: 0,
        },
      };
    });
  }

  /** @type {[string, RegExp, (call: any, ...parts: string[]) => any][]} */
  const routes = [
    ["GET", /^\/user$/, () => ok({ id: "user", email: "ops@example.com" })],
    ["GET", /^\/user\/tokens\/verify$/, () => ok({ id: "token", status: "active" })],
    ["GET", /^\/accounts$/, () => paged([ACCOUNT])],
    ["GET", /^\/memberships$/, () => paged([{ account: ACCOUNT }])],

    // wrangler requests pages until one is empty.
    [
      "GET",
      /^\/storage\/kv\/namespaces$/,
      ({ url }) => paged(Number(url.searchParams.get("page") ?? 1) > 1 ? [] : account.namespaces),
    ],
    [
      "POST",
      /^\/storage\/kv\/namespaces$/,
      ({ json }) => {
        const made = { id: hex(), title: json.title, supports_url_encoding: true };
        account.namespaces.push(made);
        return ok(made);
      },
    ],

    [
      "PUT",
      /^\/storage\/kv\/namespaces\/([^/]+)\/values\/([^/]+)$/,
      ({ text }, _, key) => {
        account.values.set(decodeURIComponent(key), text);
        return ok({});
      },
    ],
    [
      "DELETE",
      /^\/storage\/kv\/namespaces\/([^/]+)\/values\/([^/]+)$/,
      (_, __, key) => {
        account.values.delete(decodeURIComponent(key));
        return ok({});
      },
    ],

    [
      "GET",
      /^\/d1\/database$/,
      ({ url }) =>
        paged(
          (Number(url.searchParams.get("page") ?? 1) > 1 ? [] : account.databases).map(({ uuid, name }) => ({
            uuid,
            name,
            version: "production",
          })),
        ),
    ],
    [
      "POST",
      /^\/d1\/database$/,
      ({ json }) => {
        const made = { uuid: randomUUID(), name: json.name, sqlite: new DatabaseSync(":memory:") };
        account.databases.push(made);
        return ok({ uuid: made.uuid, name: made.name, version: "production" });
      },
    ],
    [
      "GET",
      /^\/d1\/database\/([^/]+)$/,
      (_, id) => {
        const found = byId(account.databases, id);
        return found
          ? ok({ uuid: found.uuid, name: found.name, version: "production" })
          : failure(404, 7404, "database not found");
      },
    ],
    [
      "POST",
      /^\/d1\/database\/([^/]+)\/query$/,
      ({ json }, id) => {
        try {
          return ok(query(byId(account.databases, id), json));
        } catch (error) {
          return failure(400, 7500, `${error.message}: SQLITE_ERROR`);
        }
      },
    ],

    [
      "GET",
      /^\/d1\/database\/([^/]+)\/time_travel\/bookmark$/,
      () => ok({ bookmark: "00000001-00000000-00000000-0" }),
    ],
    [
      "POST",
      /^\/d1\/database\/([^/]+)\/time_travel\/restore$/,
      (_, id) => {
        if (byId(account.databases, id).restore() === false) return failure(500, 7500, "internal error");
        return ok({
          bookmark: "00000001-00000000-00000000-0",
          previous_bookmark: "00000002-00000000-00000000-0",
          message: "restored",
        });
      },
    ],

    [
      "POST",
      /^\/r2\/buckets$/,
      ({ json }) => {
        account.buckets.push({ name: json.name, rules: [] });
        return ok({ name: json.name, creation_date: new Date(0).toISOString() });
      },
    ],
    ["GET", /^\/r2\/buckets\/([^/]+)$/, (_, name) => ofBucket(name, () => ({ name }))],
    ["GET", /^\/r2\/buckets\/([^/]+)\/lifecycle$/, (_, name) => ofBucket(name, ({ rules }) => ({ rules }))],
    [
      "PUT",
      /^\/r2\/buckets\/([^/]+)\/lifecycle$/,
      ({ json }, name) => {
        account.buckets.find((bucket) => bucket.name === name).rules = json.rules;
        return ok({});
      },
    ],

    [
      "GET",
      /^\/queues$/,
      ({ url }) =>
        paged(
          account.queues
            .filter(
              (queue) => !url.searchParams.get("name") || url.searchParams.get("name") === queue.queue_name,
            )
            .map(queueView),
        ),
    ],
    [
      "POST",
      /^\/queues$/,
      ({ json }) => {
        if (account.queues.some((queue) => queue.queue_name === json.queue_name))
          return failure(409, 11009, "Queue already exists");
        const made = { queue_id: hex(), queue_name: json.queue_name, consumers: [] };
        account.queues.push(made);
        return ok(queueView(made));
      },
    ],
    ["GET", /^\/queues\/([^/]+)$/, (_, id) => ok(queueView(byId(account.queues, id)))],
    ["GET", /^\/queues\/([^/]+)\/consumers$/, (_, id) => paged(byId(account.queues, id).consumers)],
    [
      "POST",
      /^\/queues\/([^/]+)\/consumers$/,
      ({ json }, id) => {
        const made = {
          consumer_id: hex(),
          script: json.script_name,
          type: "worker",
          settings: json.settings,
          dead_letter_queue: json.dead_letter_queue,
        };
        byId(account.queues, id).consumers.push(made);
        return ok(made);
      },
    ],
    [
      "PUT",
      /^\/queues\/([^/]+)\/consumers\/([^/]+)$/,
      ({ json }, id, consumer) => {
        const found = byId(account.queues, id).consumers.find((one) => one.consumer_id === consumer);
        Object.assign(found, { settings: json.settings, dead_letter_queue: json.dead_letter_queue });
        return ok(found);
      },
    ],
    [
      "DELETE",
      /^\/queues\/([^/]+)\/consumers\/([^/]+)$/,
      (_, id, consumer) => {
        const queue = byId(account.queues, id);
        queue.consumers = queue.consumers.filter((one) => one.consumer_id !== consumer);
        return ok(null);
      },
    ],

    ["GET", /^\/workers\/subdomain$/, () => ok({ subdomain: "acme" })],
    [
      "GET",
      /^\/workers\/services\/([^/]+)$/,
      (_, name) =>
        account.workers.has(name)
          ? ok({
              id: name,
              default_environment: {
                environment: "production",
                script: {
                  last_deployed_from: "wrangler",
                  migration_tag: account.workers.get(name).migration,
                },
              },
            })
          : failure(404, 10090, `This service does not exist on your account: ${name}`),
    ],
    [
      "GET",
      /^\/workers\/services\/([^/]+)\/environments\/production$/,
      (_, name) =>
        account.workers.has(name)
          ? ok({ script: { last_deployed_from: "wrangler" } })
          : failure(404, 10092, "not found"),
    ],
    [
      "GET",
      /^\/workers\/scripts\/([^/]+)\/secrets$/,
      (_, name) => {
        const worker = account.workers.get(name);
        return worker
          ? ok([...worker.secrets.keys()].map((secret) => ({ name: secret, type: "secret_text" })))
          : failure(404, 10007, "This Worker does not exist on your account.");
      },
    ],
    [
      "PUT",
      /^\/workers\/scripts\/([^/]+)\/secrets$/,
      ({ json }, name) => {
        if (refuseSecret()) return failure(500, 10013, "An unknown error has occurred");
        account.workers.get(name).secrets.set(json.name, json.text);
        onSecret(name, json.name, json.text);
        return ok({ name: json.name, type: "secret_text" });
      },
    ],
    ["PUT", /^\/workers\/scripts\/([^/]+)$/, (call, name) => upload(call, name)],
    ["POST", /^\/workers\/scripts\/([^/]+)\/versions$/, (call, name) => upload(call, name)],
    [
      "GET",
      /^\/workers\/scripts\/([^/]+)\/settings$/,
      (_, name) =>
        account.workers.has(name)
          ? ok({ bindings: account.workers.get(name).bindings, tags: [] })
          : failure(404, 10007, "This Worker does not exist on your account."),
    ],
    ["PATCH", /^\/workers\/scripts\/([^/]+)\/script-settings$/, ({ json }) => ok(json)],
    [
      "GET",
      /^\/workers\/workers\/([^/]+)$/,
      (_, name) => ok({ id: name, name, subdomain: { enabled: true, previews_enabled: false } }),
    ],
    ["PATCH", /^\/workers\/workers\/([^/]+)$/, ({ json }, name) => ok({ id: name, name, ...json })],
    ["GET", /^\/workers\/scripts\/([^/]+)\/deployments$/, () => ok({ deployments: [] })],
    [
      "POST",
      /^\/workers\/scripts\/([^/]+)\/deployments$/,
      ({ json }) => ok({ id: hex(), versions: json.versions }),
    ],
    ["GET", /^\/workers\/scripts\/([^/]+)\/subdomain$/, () => ok({ enabled: true, previews_enabled: false })],
    ["POST", /^\/workers\/scripts\/([^/]+)\/subdomain$/, ({ json }) => ok(json)],
    [
      "POST",
      /^\/workers\/scripts\/([^/]+)\/domains\/changeset$/,
      ({ json }) => ok({ added: json, removed: [], updated: [], conflicting: [] }),
    ],
    [
      "PUT",
      /^\/workers\/scripts\/([^/]+)\/domains\/records$/,
      ({ json }, name) => {
        account.workers.get(name).domains = json.origins.map((origin) => origin.hostname);
        return ok(null);
      },
    ],
    [
      "PUT",
      /^\/workers\/scripts\/([^/]+)\/schedules$/,
      ({ json }, name) => {
        account.workers.get(name).schedules = json.map((schedule) => schedule.cron);
        return ok({ schedules: json });
      },
    ],

    ["GET", /^\/pages\/projects$/, () => paged(account.projects)],
    [
      "POST",
      /^\/pages\/projects$/,
      ({ json }) => {
        const made = {
          id: hex(),
          name: json.name,
          subdomain: `${json.name}.pages.dev`,
          domains: [`${json.name}.pages.dev`],
          production_branch: json.production_branch,
          source: null,
          deployment_configs: { production: {}, preview: {} },
          latest_deployment: { modified_on: new Date().toISOString() },
        };
        account.projects.push(made);
        return ok(made);
      },
    ],
    [
      "GET",
      /^\/pages\/projects\/([^/]+)$/,
      (_, name) => {
        const found = account.projects.find((project) => project.name === name);
        return found ? ok(found) : failure(404, 8000007, "Project not found.");
      },
    ],
    [
      "GET",
      /^\/pages\/projects\/([^/]+)\/domains$/,
      (_, name) =>
        ok(
          account.projects
            .find((project) => project.name === name)
            .domains.slice(1)
            .map((domain) => ({ name: domain, status: "active" })),
        ),
    ],
    [
      "POST",
      /^\/pages\/projects\/([^/]+)\/domains$/,
      ({ json }, name) => {
        account.projects.find((project) => project.name === name).domains.push(json.name);
        return ok({ name: json.name, status: "pending" });
      },
    ],
    [
      "GET",
      /^\/pages\/projects\/([^/]+)\/upload-token$/,
      () =>
        ok({
          jwt: `e30.${Buffer.from(JSON.stringify({ exp: Math.floor(Date.now() / 1_000) + 3_600 })).toString("base64url")}.x`,
        }),
    ],
    ["POST", /^\/pages\/assets\/check-missing$/, ({ json }) => ok(json.hashes)],
    ["POST", /^\/pages\/assets\/upload$/, () => ok(null)],
    ["POST", /^\/pages\/assets\/upsert-hashes$/, () => ok(null)],
    [
      "POST",
      /^\/pages\/projects\/([^/]+)\/deployments$/,
      ({ form }, name) => {
        const files = Object.keys(JSON.parse(form.get("manifest")));
        const made = {
          id: hex(),
          project: name,
          branch: form.get("branch"),
          files,
          headers: form.get("_headers"),
          url: `https://1.${name}.pages.dev`,
          aliases: [],
          environment: "production",
          latest_stage: { name: "deploy", status: "success" },
        };
        account.deployments.push(made);
        return ok(made);
      },
    ],
    [
      "GET",
      /^\/pages\/projects\/([^/]+)\/deployments\/([^/]+)$/,
      (_, __, id) => ok(account.deployments.find((one) => one.id === id)),
    ],
  ];

  /** A Worker as it is uploaded: its bindings, and its secrets in addition to those that it has. */
  async function upload({ form, url }, name) {
    const metadata = JSON.parse(await asText(form.get("metadata")));
    const worker = account.workers.get(name) ?? { secrets: new Map(), uploads: 0 };
    const kept = (metadata.keep_bindings ?? []).includes("secret_text");
    const sent = metadata.bindings.filter((binding) => binding.type === "secret_text");
    if (!kept && !url.pathname.endsWith("/versions")) worker.secrets = new Map();
    for (const { name: secret, text } of sent) if (text !== undefined) worker.secrets.set(secret, text);
    for (const binding of metadata.bindings) {
      if (binding.type === "service" && !account.workers.has(binding.service))
        return failure(
          400,
          10143,
          `Could not resolve service binding '${binding.name}'. Target script '${binding.service}' not found.`,
        );
      if (binding.script_name && !account.workers.has(binding.script_name))
        return failure(
          400,
          10061,
          `Cannot create binding for class ${binding.class_name} because script ${binding.script_name} does not exist`,
        );
    }
    const before = new Map((worker.bindings ?? []).map((binding) => [binding.name, binding]));
    const arrived = metadata.bindings.filter((binding) => binding.type !== "secret_text");
    worker.bindings = arrived.map((binding) =>
      binding.type === "inherit" ? before.get(binding.name) : binding,
    );
    worker.migration = metadata.migrations?.new_tag ?? worker.migration;
    worker.uploads += 1;
    account.workers.set(name, worker);
    return ok({
      id: name,
      etag: hex(),
      deployment_id: hex(),
      startup_time_ms: 1,
      entry_point: "index.js",
      tag: hex(),
      mutable_pipeline_id: hex(),
      number: worker.uploads,
      metadata: {},
      resources: { script: { etag: hex() } },
    });
  }

  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url, "http://localhost");
    const path = url.pathname.replace(`/accounts/${ACCOUNT.id}/`, "/");
    const body = Buffer.concat(chunks);
    const type = request.headers["content-type"] ?? "";
    // wrangler does not send a content type with every body.
    const call = {
      url,
      text: body.toString(),
      json: /^[[{]/.test(body.subarray(0, 1).toString()) ? JSON.parse(body.toString()) : undefined,
    };
    if (type.includes("multipart/form-data"))
      call.form = await new Response(body, { headers: { "content-type": type } }).formData();
    let answer = failure(404, 7003, `Could not route to ${url.pathname}`);
    const found = routes.find(([method, pattern]) => method === request.method && pattern.test(path));
    const isRead =
      request.method === "GET" ||
      path.endsWith("/check-missing") ||
      (path.endsWith("/query") && /^\s*(select|pragma)/i.test(call.json?.sql ?? ""));
    if (!request.headers.authorization) answer = failure(401, 10000, "Authentication error");
    else if (!found) unknown.push(`${request.method} ${path}`);
    else if (refused && !isRead && refused.test(`${request.method} ${path}`))
      answer = failure(403, 10000, "Authentication error");
    else {
      if (!isRead) changes.push(`${request.method} ${path}`);
      answer = await found[2](call, ...path.match(found[1]).slice(1));
    }
    response
      .writeHead(answer.status, { "content-type": "application/json" })
      .end(JSON.stringify(answer.body));
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  return {
    account,
    changes,
    unknown,
    url,
    env: { CLOUDFLARE_API_BASE_URL: url, CLOUDFLARE_API_TOKEN: TOKEN, CLOUDFLARE_ACCOUNT_ID: ACCOUNT.id },
    /** Makes changes whose method and path match fail with Cloudflare's 10000 from now on; null ends that. */
    refuse: (pattern) => (refused = pattern),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

const asText = (part) => (typeof part === "string" ? part : part.text());

/** Splits a text into statements, at semicolons outside quotes, comments and triggers. */
function splitStatements(sql) {
  const statements = [];
  let rest = "";
  for (const piece of sql.replace(/^\s*--.*$/gm, "").split(";")) {
    rest += piece;
    const isOpen =
      (rest.match(/'/g) ?? []).length % 2 === 1 ||
      (/\bCREATE\s+TRIGGER\b/i.test(rest) && !/\bEND\s*$/i.test(rest));
    if (isOpen) rest += ";";
    else {
      if (rest.trim()) statements.push(rest);
      rest = "";
    }
  }
  return statements;
}
