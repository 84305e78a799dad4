// `npm run config -- export --api <address> > token-manager.yaml` writes the configuration of a system, and `npm run
// config -- apply token-manager.yaml --api <address> [--dry-run] [--prune] [--secrets <file>]` makes a system equal to
// one. The key is an admin API key in TOKEN_MANAGER_KEY (session.mjs). `${NAME}` in a credential is a variable of the
// environment. Every step is one change with an audit entry, so an apply can break off anywhere and be run again.
import { appendFileSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Refused, described, exported, request } from "./config/file.mjs";
import { session as sessionOf } from "./session.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    api: { type: "string", default: process.env.TOKEN_MANAGER_API },
    "dry-run": { type: "boolean", default: false },
    prune: { type: "boolean", default: false },
    secrets: { type: "string" },
  },
});
const [mode, file] = positionals;
const session = sessionOf();
if (!values.api || !session || !(mode === "export" || (mode === "apply" && file))) {
  console.error(
    "usage: TOKEN_MANAGER_KEY=<admin API key> npm run config --silent -- export --api <address> > token-manager.yaml\n       TOKEN_MANAGER_KEY=<admin API key> npm run config -- apply token-manager.yaml --api <address> [--dry-run] [--prune] [--secrets <file>]",
  );
  process.exit(2);
}

/** @returns {never} */
function fail(text) {
  console.error(text);
  process.exit(1);
}

/** @returns {never} */
const unreachable = (error) =>
  fail(`${values.api} cannot be reached (${error.cause?.code ?? error.message}). Run this again to go on.`);

/** Calls the API. A service that is briefly down is tried again: no step is done twice. */
async function call(body) {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(`${values.api.replace(/\/$/, "")}/api/config`, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${await session.token()}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    }).catch(unreachable);
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    if ([429, 503].includes(response.status) && tries < 5) {
      await new Promise((resolve) => setTimeout(resolve, 1_000 * 2 ** tries));
      continue;
    }
    if (response.status === 412)
      fail("Somebody has changed the system since it was compared. Run this again to see what is left.");
    if (response.status === 401 && session.canRenew && tries === 1) await session.renew();
    else return { failed: `${response.status} ${answer.message} (request ${answer.request_id})`, ...answer };
  }
}

if (mode === "export") {
  const config = await call();
  if (config.failed) fail(config.failed);
  process.stdout.write(exported(config));
  for (const name of config.left_out ?? [])
    console.error(`left out: ${name}, since its team has several tokens or channels of that name`);
} else {
  let sent;
  try {
    sent = request(readFileSync(file, "utf8"), process.env);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    fail(error.places.map(({ line, column, text }) => `${file}:${line}:${column}: ${text}`).join("\n"));
  }
  await apply(sent);
}

async function apply({ body, keptChannels, place }) {
  const ask = async (more) => {
    const report = await call({ ...body, prune: values.prune, ...more });
    if (!report.failed) return report;
    const details = (report.details ?? []).map(({ field, message }) => {
      const { line, column, name } = place(field);
      return `${file}:${line}:${column}: ${name} ${message}`;
    });
    return fail([...details, report.failed].join("\n"));
  };
  let report = await ask({ mode: "plan" });
  console.log(described(report.steps));
  for (const path of body.kept) console.log(`The credential of ${path} stays: its variable is not set.`);
  for (const name of keptChannels) console.log(`The receiver of ${name} stays: its variable is not set.`);
  if (values["dry-run"]) return;
  const total = report.steps.length;
  let unkept = 0;
  while (report.left > 0) {
    report = await ask({ mode: "apply", digest: report.digest });
    for (const { kind, key, error, token } of report.done) {
      if (error)
        fail(
          `failed: ${kind} ${key}: ${error}\n${total - report.left} of ${total} are done; run this again to go on`,
        );
      console.log(`done: ${kind} ${key}`);
      if (!token) continue;
      if (values.secrets)
        appendFileSync(values.secrets, `${JSON.stringify({ token: key, secret: token })}\n`, { mode: 0o600 });
      else unkept += 1;
    }
  }
  if (unkept > 0)
    console.log(
      `${unkept} tokens were made whose secrets nobody has seen: rotate them, or make them with --secrets <file>.`,
    );
}
