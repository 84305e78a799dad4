// The Workers that are measured, each in a runtime of its own, and the calls that they get.
import { randomBytes } from "node:crypto";
import { eventually, putRoutes, putToken, startOnSockets } from "../../tests/support/harness.mjs";
import { builtWorker, startAlone, withPid } from "../../tests/support/runtime.mjs";
import { mintToken } from "../../tests/support/tokens.mjs";
import { Target } from "./load.mjs";

const bareScript = `
  export default { fetch(request, env) {
    const url = new URL(request.url);
    return fetch(env.UPSTREAM + url.pathname + url.search, request);
  } };`;

export const startJs = (upstream) =>
  startAlone({ modules: true, script: bareScript, bindings: { UPSTREAM: upstream } });
export const startRust = (upstream) =>
  startAlone(builtWorker("bench/rust-pass-through/build", { UPSTREAM: upstream }));

/** The gateway with its stores. In production the consumer of the events runs elsewhere. */
export async function startGateway(vars = {}) {
  const gatewayVars = { USAGE_FLUSH_MS: "500", ...vars };
  const { started, pid } = await withPid(() =>
    startOnSockets({ gatewayVars, withApi: false, strict: false }),
  );
  // As the admin API's cron does each minute. Here nobody calls while the stores are filled, and the object forgets it.
  const glance = () => started.feed({ glance: {} }).catch(() => {});
  await glance();
  const fed = setInterval(glance, 5_000);
  const { stop } = started;
  return Object.assign(started, { pid, stop: () => (clearInterval(fed), stop()) });
}

/** The headers of a call by n8n, which sends with axios, as Cloudflare's edge hands it to a Worker. */
const headers = (token) => ({
  host: "gateway.example.com",
  accept: "application/json, text/plain, */*",
  "accept-encoding": "gzip, br",
  "user-agent": "axios/1.12.2",
  "x-api-key": token,
  "cdn-loop": "cloudflare; loops=1",
  "cf-connecting-ip": "203.0.113.7",
  "cf-ipcountry": "TW",
  "cf-ray": "9a1b2c3d4e5f6a7b-TPE",
  "cf-visitor": '{"scheme":"https"}',
  "x-forwarded-for": "203.0.113.7",
  "x-forwarded-proto": "https",
});

/** A request as it is written to a connection. */
export function requestOf(token, where, body) {
  const sent = { ...headers(token) };
  if (body !== undefined)
    Object.assign(sent, { "content-type": "application/json", "content-length": String(body.length) });
  const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(
    `${body === undefined ? "GET" : "POST"} ${where} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`,
  );
}

/** A target that gets one request again and again. */
export const targetOf = (name, { url, pid }, request) => new Target({ name, url, pid, requests: [request] });

const AI = { settings: { ai: { provider: "openai", include_usage: true } } };

/** A table of `count` routes to `upstream`, and one to a vendor of AI. */
export async function fill(gateway, { count, upstream, streaming }) {
  const credential = { credential: { kind: "bearer", token: "vendor-key" } };
  const routes = Array.from({ length: count }, (_, i) => [`/api/r${i}`, `${upstream}/r${i}`, credential]);
  await putRoutes(gateway, [...routes, ["/api/ai", `${streaming}/v1`, { ...AI, ...credential }]], {
    version: count,
  });
  const prices = { "demo-1": { prompt: 1e6, completion: 2e6 } };
  await gateway.kv.put("prices", JSON.stringify({ v: 1, prices }));
}

/** Waits until the gateway serves a token on a route. */
export async function ready(gateway, token, where) {
  const headers = { "x-api-key": token };
  await eventually(
    async () => (await gateway.gateway(where, { headers })).status === 200,
    30_000,
    "the gateway",
  );
}

/** As many tokens as routes, and a target whose calls go through all pairs in turn. */
export async function targetOfMany(gateway, { count, upstream, streaming }) {
  await fill(gateway, { count, upstream, streaming });
  const tokens = Array.from({ length: count }, () => mintToken(gateway.secrets.TOKEN_CHECK_KEY));
  for (let i = 0; i < count; i += 50) {
    const some = tokens.slice(i, i + 50);
    await Promise.all(
      some.map((token) => putToken(gateway, { id: `tok_${randomBytes(6).toString("hex")}` }, token)),
    );
  }
  await ready(gateway, tokens.at(-1), `/api/r${count - 1}`);
  const requests = tokens.map((token, i) => requestOf(token, `/api/r${i}`));
  return new Target({ name: `${count} tokens`, url: gateway.urls.gateway, pid: gateway.pid, requests });
}
