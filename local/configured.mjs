// wrangler.toml as wrangler reads it. To load wrangler takes a second of every start, so what it said is kept.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import { root } from "../scripts/setup.mjs";

const read = (file) => (existsSync(path.join(root, file)) ? readFileSync(path.join(root, file), "utf8") : "");

/**
 * The options of miniflare for a Worker, by the name of its environment. Secrets are in `.dev.vars` alone.
 * @returns {Promise<any>}
 */
export async function configured(env) {
  const secrets = parseEnv(read(".dev.vars"));
  const sources = [
    read("wrangler.toml"),
    read("node_modules/wrangler/package.json"),
    ...Object.keys(secrets),
  ];
  const key = createHash("sha256").update(JSON.stringify(sources)).digest("hex").slice(0, 16);
  const kept = path.join(root, `.wrangler/configured/${env}-${key}.json`);
  if (!existsSync(kept)) {
    const { unstable_getMiniflareWorkerOptions: optionsOf } = await import("wrangler");
    const { workerOptions } = /** @type {any} */ (optionsOf(path.join(root, "wrangler.toml"), env));
    for (const name of Object.keys(secrets)) delete workerOptions.bindings[name];
    mkdirSync(path.dirname(kept), { recursive: true });
    // In one step: other processes may be reading it.
    const fresh = `${kept}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(workerOptions));
    renameSync(fresh, kept);
  }
  const options = JSON.parse(readFileSync(kept, "utf8"));
  return { ...options, bindings: { ...options.bindings, ...secrets } };
}
