// `npm run check -- --gateway https://… --api https://… --ui https://… --token ntk_… [--path /api/demo] [--wait 180]`:
// checks a deployment from outside, as its users see it. Each line names a check; the exit code is 1 if one failed.
// With TOKEN_MANAGER_KEY, an admin API key with a role in core-team, it also asks what waits to be published.
// For `--wait` seconds a failed check is repeated: a new host's certificate takes a while.
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    gateway: { type: "string" },
    api: { type: "string" },
    ui: { type: "string" },
    token: { type: "string" },
    path: { type: "string", default: "/api/demo" },
    wait: { type: "string", default: "0" },
  },
});
for (const name of ["gateway", "api", "ui"]) {
  if (!options[name]) {
    console.error(
      `--${name} is missing: npm run check -- --gateway https://… --api https://… --ui https://… [--token ntk_…]`,
    );
    process.exit(2);
  }
}
const at = (name) => options[name].replace(/\/$/, "");
const ask = (url, init = {}) =>
  fetch(url, { redirect: "manual", signal: AbortSignal.timeout(15_000), ...init });
const patience = Date.now() + Number(options.wait) * 1_000;
let failed = 0;

function must(holds, what) {
  if (!holds) throw new Error(what);
}

async function look(what, work) {
  for (;;) {
    try {
      const note = await work();
      return console.log(`ok      ${what}${note ? `: ${note}` : ""}`);
    } catch (error) {
      if (Date.now() < patience) {
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        continue;
      }
      failed += 1;
      return console.log(`FAILED  ${what}: ${error.cause?.message ?? error.message}`);
    }
  }
}

for (const name of ["gateway", "api", "ui"]) {
  await look(`${name} by TLS`, async () => {
    const { protocol, hostname } = new URL(at(name));
    must(protocol === "https:" || ["localhost", "127.0.0.1"].includes(hostname), "is not https");
    return protocol === "https:" ? "https" : "local, plain http";
  });
}
for (const name of ["gateway", "api"]) {
  await look(`${name} is alive`, async () => {
    const response = await ask(`${at(name)}/health`);
    must(response.status === 200, `/health answers ${response.status}`);
    const { version } = await response.json();
    return `version ${version}`;
  });
}
async function health() {
  const response = await ask(`${at("api")}/health/detailed`);
  const { status, checks } = await response.json();
  must(response.status === 200, `${status}: ${JSON.stringify(checks)}`);
  return { status, canary: checks.find(({ name }) => name === "canary") };
}
let measures = false;
await look("the API in detail", async () => {
  const { status, canary } = await health();
  measures = canary !== undefined;
  return status;
});
// An API of before the canary has no such check.
if (measures)
  await look("how soon changes are seen, by the canary's last run", async () => {
    const { canary } = await health();
    must(canary.status === "ok", canary.note);
    return canary.note;
  });
await look("the gateway refuses a call without a token", async () => {
  const response = await ask(at("gateway") + options.path);
  must(
    response.status === 401 && (await response.json()).code === "missing-api-key",
    `answers ${response.status}`,
  );
});
await look("the API refuses a call without a session, to the UI's origin alone", async () => {
  const response = await ask(`${at("api")}/api/me`, { headers: { origin: new URL(at("ui")).origin } });
  must(response.status === 401, `answers ${response.status}`);
  must(
    response.headers.get("access-control-allow-origin") === new URL(at("ui")).origin,
    "the UI's origin may not read it: ALLOWED_ORIGINS",
  );
  const other = await ask(`${at("api")}/api/me`, { headers: { origin: "https://elsewhere.example" } });
  must(other.headers.get("access-control-allow-origin") === null, "any origin may read it");
});
for (const page of ["/dashboard", "/usage"]) {
  await look(`the UI's ${page}`, async () => {
    const response = await ask(at("ui") + page);
    must(response.status === 200 && /<html/.test(await response.text()), `answers ${response.status}`);
    const policy = response.headers.get("content-security-policy") ?? "";
    must(/default-src|script-src/.test(policy), "has no Content-Security-Policy");
    must(
      !/script-src[^;]*'unsafe-inline'/.test(policy),
      "its Content-Security-Policy lets inline scripts run",
    );
  });
}
await look("the UI knows the API and the gateway", async () => {
  const config = await (await ask(`${at("ui")}/config.json`)).json();
  const origin = (text) => new URL(text).origin.replace("//127.0.0.1", "//localhost");
  const same = (a, b) => origin(a) === origin(b);
  must(
    same(config.api, at("api")) && same(config.gateway, at("gateway")),
    `config.json names ${config.api} and ${config.gateway}`,
  );
});
const key = process.env.TOKEN_MANAGER_KEY;
if (!key) {
  console.log("skipped the API with a key: TOKEN_MANAGER_KEY is missing");
} else {
  const headers = { authorization: `Bearer ${key}` };
  await look("the API accepts the key", async () => {
    const response = await ask(`${at("api")}/api/me`, { headers });
    const { code, key_id: id } = await response.json();
    must(response.status === 200, `answers ${response.status} ${code}`);
    return id;
  });
  await look("KV holds what the API has published", async () => {
    const response = await ask(`${at("api")}/api/publication`, { headers });
    const { code, pending, drift } = await response.json();
    must(response.status === 200, `answers ${response.status} ${code}`);
    must(pending === 0 && drift === 0, `${pending} changes wait, ${drift} entries differ`);
  });
}
if (!options.token) {
  console.log("skipped a call with a token: --token is missing");
} else {
  const id = `check-${Date.now()}`;
  await look("a call through the gateway", async () => {
    const response = await ask(at("gateway") + options.path, {
      headers: { "x-api-key": options.token, "x-request-id": id },
    });
    await response.arrayBuffer();
    must(response.headers.get("x-request-id") === id, "the answer is not the gateway's");
    must(response.status < 400, `answers ${response.status}`);
    return response.headers.get("server-timing");
  });
  await look("the call is counted within ten seconds", async () => {
    const started = Date.now();
    while (Date.now() - started < 10_000) {
      const response = await ask(`${at("api")}/api/usage/test-data`, {
        headers: { "x-api-key": options.token },
      });
      if (response.ok && (await response.text()).includes(id))
        return `after ${((Date.now() - started) / 1000).toFixed(1)} s`;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    throw new Error("it is not in /api/usage/test-data");
  });
}
console.log(failed === 0 ? "\nall well" : `\n${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
