// Six weeks of made-up usage by three teams, for `npm start -- --demo`. Everything goes the way that real data goes: teams,
// routes and tokens through the admin API, calls as messages to the queue's consumer, and the last of them as real calls
// through the gateway, so that budgets are used up in the counters too. A seed makes each run the same.
import { randomFor } from "./random.mjs";

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];
const DAYS = 42;
/** Events of a message, and messages of a batch. */
const [EVENTS, MESSAGES] = [50, 100];
const SEED = 20_261_129;

const TEAMS = [
  { id: "marketing", name: "Marketing", description: "Newsletters and campaigns", color: "#8f4700" },
  {
    id: "support",
    name: "Customer support",
    description: "Tickets and the chat",
    color: "#3d2785",
    budget: { cost_micros_per_month: 400_000_000 },
  },
];

/** @type {Record<string, any>} */
const ROUTES = {
  gpt: { name: "OpenAI", path: "/api/gpt", to: "/v1", ai: "openai", below: "/chat/completions" },
  claude: { name: "Anthropic", path: "/api/claude", to: "/echo", ai: "anthropic", below: "/v1/messages" },
  llama: { name: "Groq", path: "/api/groq", to: "/v1", ai: "openai-compatible", below: "/chat/completions" },
  convert: { name: "CloudConvert", path: "/api/convert", to: "/echo", below: "/jobs" },
  crm: { name: "CRM", path: "/api/crm", to: "/status/503", below: "/contacts", methods: ["GET", "POST"] },
  files: { name: "Files", path: "/api/files", to: "/echo", below: "/invoices" },
};

/**
 * Models: prompt and completion of a call in tokens. The last one has no price.
 * @type {Record<string, number[]>}
 */
const MODELS = {
  "gpt-5.4": [2_400, 420],
  "gpt-5.4-mini": [900, 160],
  "claude-sonnet-4-6": [3_100, 510],
  "claude-haiku-4-5": [700, 120],
  "llama-3.1-8b-instant": [500, 90],
};

/**
 * Tokens: calls on a working day, and where they go (route, model, weight). `office` keeps to the hours of an office, `night`
 * calls at two o'clock only, `since` and `until` are days before today.
 * @type {any[]}
 */
const TOKENS = [
  {
    name: "Daily digest",
    team: "automation",
    calls: 90,
    office: true,
    to: [
      ["gpt", "gpt-5.4-mini", 3],
      ["crm", null, 1],
    ],
  },
  {
    name: "Invoice reader",
    team: "automation",
    calls: 140,
    office: true,
    to: [
      ["claude", "claude-sonnet-4-6", 2],
      ["files", null, 1],
    ],
  },
  { name: "Nightly backup", team: "automation", calls: 60, night: true, to: [["files", null, 1]] },
  { name: "Old import", team: "automation", calls: 40, until: 12, to: [["crm", null, 1]], act: "disable" },
  {
    name: "Newsletter writer",
    team: "marketing",
    calls: 120,
    office: true,
    days: 9,
    to: [
      ["gpt", "gpt-5.4", 2],
      ["claude", "claude-haiku-4-5", 1],
    ],
  },
  { name: "Image conversion", team: "marketing", calls: 210, to: [["convert", null, 1]], days: 200 },
  {
    name: "Campaign tags",
    team: "marketing",
    calls: 70,
    since: 20,
    to: [["llama", "llama-3.1-8b-instant", 1]],
  },
  {
    name: "Landing pages",
    team: "marketing",
    calls: 30,
    until: 5,
    to: [["gpt", "gpt-5.4-mini", 1]],
    act: "revoke",
  },
  {
    name: "Ticket summaries",
    team: "support",
    calls: 260,
    to: [
      ["claude", "claude-haiku-4-5", 3],
      ["gpt", "gpt-5.4-mini", 1],
    ],
    budget: 2_000_000,
    spends: 46,
  },
  {
    name: "Chat on the site",
    team: "support",
    calls: 330,
    days: null,
    to: [
      ["gpt", "gpt-5.4", 1],
      ["claude", "claude-sonnet-4-6", 1],
    ],
    budget: 1_500_000,
    spends: 48,
  },
  {
    name: "Translation",
    team: "support",
    calls: 110,
    office: true,
    since: 30,
    to: [["gpt", "gpt-5.4-mini", 1]],
  },
  {
    name: "Trial of spring",
    team: "support",
    calls: 25,
    until: 8,
    to: [["llama", "llama-3.1-8b-instant", 1]],
    act: "expire",
  },
];

/**
 * How calls end: share of a thousand, status, outcome. The rest is well.
 * @type {[number, number, string][]}
 */
const ENDS = [
  [9, 404, "client-error"],
  [5, 502, "upstream-error"],
  [3, 403, "denied-scope"],
  [3, 429, "limited-rate"],
  [2, 504, "timeout"],
  [1, 401, "denied-ip"],
];

/** The model with which real calls fill the budgets: a call costs four cents. */
const DEAR = {
  model: "demo-large",
  price: { prompt: 1_000_000, completion: 6_500_000_000, source: "Made up by --demo" },
};

/**
 * Makes all of it. `call` calls the admin API as its admin, `deliver` hands messages to the consumer, `sql` runs statements,
 * `cron` runs the admin API's cron. Returns the number of calls, or null if they were made before.
 * @param {any} system
 */
export async function fillDemo({ call, deliver, sql, cron, gateway, upstream, now }) {
  const known = (await call("GET", "/api/teams?limit=200")).items;
  if (known.some((team) => team.id === TEAMS[0].id)) return null;
  for (const team of TEAMS) await call("POST", "/api/teams", team);
  const routes = await makeRoutes(call, upstream);
  const prices = new Map();
  await call("PUT", `/api/prices/${DEAR.model}`, DEAR.price);
  for (const { model, price } of (await call("GET", "/api/prices?limit=200")).items) prices.set(model, price);
  const tokens = await makeTokens(call);
  const calls = makeCalls(tokens, routes, prices, now);
  await takeIn(calls, deliver, cron, now);
  await age(tokens, sql, now);
  await spend(tokens, gateway);
  for (const token of tokens) if (ACTS[token.act]) await ACTS[token.act](call, token);
  // The comparison publishes what was changed in D1 alone.
  await call("POST", "/api/publication/reconcile", { repair: true });
  await cron();
  return calls.length;
}

const ACTS = {
  disable: (call, { id }) => call("POST", `/api/tokens/${id}/disable`),
  revoke: (call, { id }) => call("DELETE", `/api/tokens/${id}`),
};

async function makeRoutes(call, upstream) {
  const routes = {};
  for (const [key, { name, path, to, ai, methods = [] }] of Object.entries(ROUTES)) {
    const settings = ai ? { ai: { provider: ai } } : {};
    const credential = { kind: "bearer", token: `vendor-key-of-${key}` };
    const body = {
      name,
      path,
      backend_url: upstream + to,
      tags: [ai ? "ai" : "tools"],
      methods,
      settings,
      credential,
    };
    routes[key] = await call("POST", "/api/routes", body);
  }
  return routes;
}

async function makeTokens(call) {
  const made = [];
  for (const plan of TOKENS) {
    const { name, team, to, days = 90, budget } = plan;
    const scopes = [...new Set(to.map(([route]) => `${ROUTES[route].path}/*`))];
    const limits = budget ? { cost_micros_per_day: budget } : { calls_per_minute: 120 };
    const body = { name, team_id: team, scopes, expires_days: days, limits };
    const { id, token } = await call("POST", "/api/tokens", body);
    made.push({ ...plan, id, token });
  }
  return made;
}

/** All calls of six weeks, the earliest first. */
function makeCalls(tokens, routes, prices, now) {
  const random = randomFor(SEED);
  const calls = [];
  for (const token of tokens) {
    const [since, until] = [token.since ?? DAYS, token.until ?? 0];
    for (let day = since; day >= until; day -= 1) {
      const midnight = Math.floor(now / DAY) * DAY - day * DAY;
      const isWeekend = [0, 6].includes(new Date(midnight).getUTCDay());
      const growth = 1 + (DAYS - day) / 60;
      const count = token.calls * growth * (isWeekend ? 0.35 : 1) * (0.8 + 0.4 * random());
      for (let i = 0; i < count; i += 1) {
        const at = midnight + Math.floor(timeOfDay(token, random) * HOUR);
        if (at < now - MINUTE) calls.push(makeCall(token, routes, prices, at, random));
      }
    }
  }
  calls.push(...incident(tokens, routes, prices, now, random));
  return calls.sort((a, b) => a.at - b.at);
}

/** An hour of the day, in UTC; an office is in Taipei. */
function timeOfDay({ office, night }, random) {
  if (night) return 18 + random() * 0.4;
  if (office) return 1 + 9 * ((random() + random()) / 2);
  return 24 * random() ** 1.3;
}

/** The CRM has been failing for 50 minutes. */
function incident(tokens, routes, prices, now, random) {
  const token = tokens.find(({ name }) => name === "Daily digest");
  return Array.from({ length: 60 }, (_, i) => {
    const call = makeCall(
      { ...token, to: [["crm", null, 1]] },
      routes,
      prices,
      now - 50 * MINUTE + i * 48_000,
      random,
    );
    return i % 4 === 0 ? call : { ...call, status: 503, outcome: "upstream-error" };
  });
}

function makeCall(token, routes, prices, at, random) {
  const [key, model] = pick(token.to, random);
  const route = routes[key];
  const [status, outcome] = ending(random);
  const isOk = outcome === "ok";
  const latency = Math.round(Math.exp((model ? 6.6 : 4.4) + 0.9 * (random() + random() + random() - 1.5)));
  const id = hex(random, 16);
  return {
    id,
    at,
    token_id: token.id,
    team: token.team,
    route_id: route.id,
    route_path: route.path,
    path: route.path + ROUTES[key].below,
    method: model || random() < 0.3 ? "POST" : "GET",
    status,
    outcome,
    latency_ms: outcome.startsWith("denied") ? 1 : latency,
    gateway_ms: 1,
    ...(model && isOk && { duration_ms: latency + 200, ai: usageOf(model, prices.get(model), random) }),
    bytes_in: 200 + Math.floor(900 * random()),
    bytes_out: 500 + Math.floor(9_000 * random()),
    client_ip: `203.0.113.${token.name.length}`,
    user_agent: token.name.startsWith("Chat") ? "node" : "n8n/1.123.0",
    country: "TW",
    request_id: `req_${id}`,
  };
}

/** Picks one of `[…, weight]`. */
function pick(choices, random) {
  let left = random() * choices.reduce((sum, choice) => sum + choice.at(-1), 0);
  return choices.find((choice) => (left -= choice.at(-1)) < 0) ?? choices[0];
}

/** @returns {[number, string]} */
function ending(random) {
  let left = random() * 1_000;
  const end = ENDS.find(([share]) => (left -= share) < 0);
  return end ? [end[1], end[2]] : [200, "ok"];
}

function usageOf(model, price, random) {
  const [prompt, completion] = MODELS[model].map((mean) => Math.round(mean * (0.4 + 1.2 * random())));
  const usage = { model, prompt_tokens: prompt, completion_tokens: completion };
  if (!price) return usage;
  const cost = Math.round((prompt * price.prompt + completion * price.completion) / 1_000_000);
  return { ...usage, cost_micros: cost };
}

const hex = (random, length) => Array.from({ length }, () => Math.floor(16 * random()).toString(16)).join("");

/** Hands the calls to the consumer, as the queue does. */
async function takeIn(calls, deliver, cron, now) {
  const random = randomFor(SEED + 1);
  const key = () => {
    const bytes = Buffer.from(hex(random, 32), "hex");
    bytes.writeUIntBE(now, 0, 6);
    return bytes.toString("base64url");
  };
  const messages = [];
  for (let i = 0; i < calls.length; i += EVENTS) {
    const body = JSON.stringify({ v: 1, key: key(), events: calls.slice(i, i + EVENTS) });
    messages.push({ id: `demo${i}`, body });
  }
  for (let i = 0; i < messages.length; i += MESSAGES) {
    await deliver(messages.slice(i, i + MESSAGES));
    await cron();
  }
}

/** Makes tokens as old as their calls. The API makes none in the past. */
async function age(tokens, sql, now) {
  for (const { id, since = DAYS, act } of tokens) {
    await sql("UPDATE tokens SET created_at = ? WHERE id = ?", now - since * DAY - 2 * HOUR, id);
    if (act === "expire") await sql("UPDATE tokens SET expires_at = ? WHERE id = ?", now - 8 * DAY, id);
  }
}

/** Uses up budgets by real calls. */
async function spend(tokens, gateway) {
  const body = JSON.stringify({
    model: DEAR.model,
    max_tokens: 6,
    messages: [{ role: "user", content: "Hello" }],
  });
  for (const { token, spends = 0 } of tokens) {
    for (let i = 0; i < spends; i += 1) {
      const response = await fetch(`${gateway}/api/gpt/chat/completions`, {
        method: "POST",
        headers: { "x-api-key": token, "content-type": "application/json" },
        body,
      });
      await response.arrayBuffer();
    }
  }
}
