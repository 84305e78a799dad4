// Lays a Worker out as wrangler takes it: one JavaScript module and its wasm. It does what the program worker-build of
// workers-rs does once cargo is through (its src/main.rs), which took two minutes to compile for these few lines.
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, run } from "../setup.mjs";

/** Events whose handlers take what happened, the environment and the context; other exports are methods as they are. */
const EVENTS = ["fetch", "queue", "scheduled"];
/** What the shim itself uses. */
const SYSTEM = ["__wbg_reset_state", "__worker_init_state"];

/** The shim with a method for each function, and a class for each class, that the module exports. */
function shimFor(module) {
  const exported = (kind) =>
    [...module.matchAll(new RegExp(`^export (?:async )?${kind} (\\w+)`, "gm"))].map(([, name]) => name);
  const handlers = exported("function")
    .filter((name) => !SYSTEM.includes(name))
    .map((name) =>
      EVENTS.includes(name)
        ? `Entrypoint.prototype.${name} = function ${name} (arg) { return exports.${name}.call(this, arg, this.env, this.ctx); }`
        : `Entrypoint.prototype.${name} = exports.${name};`,
    );
  const classes = exported("class").map(
    (name) => `export const ${name} = new Proxy(exports.${name}, classProxyHooks);`,
  );
  const shim = readFileSync(path.join(root, "scripts/build/worker-shim.template"), "utf8");
  return [shim.replace("$HANDLERS", () => handlers.join("\n")), ...classes].join("\n");
}

/** Fills the empty folder `to` with what cargo compiled to `wasm`. Without `wasmOpt` that stays as it is. */
export async function layOutWorker(to, { wasm, bindgen, wasmOpt }) {
  await run(bindgen, ["worker", wasm, to, "index"], { quiet: true });
  const program = path.join(to, "index_bg.wasm");
  // Without the names of functions, which are a tenth of it.
  if (wasmOpt) await run(wasmOpt, ["--all-features", "-Os", "--converge", program, "-o", program], { quiet: true });
  const { build } = await import("esbuild");
  const index = path.join(to, "index.js");
  const bundled = await build({
    stdin: { contents: shimFor(readFileSync(index, "utf8")), resolveDir: to },
    external: ["./index_bg.wasm", "cloudflare:*"],
    format: "esm",
    bundle: true,
    minify: true,
    write: false,
    logLevel: "error",
  });
  for (const name of readdirSync(to))
    if (name !== "index_bg.wasm") rmSync(path.join(to, name), { recursive: true });
  // Wrangler's bundler does not know the source phase; of wasm the runtime makes a module all the same.
  writeFileSync(index, bundled.outputFiles[0].text.replace("import source ", "import "));
}
