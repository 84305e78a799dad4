// Lays a Worker out as wrangler takes it: one JavaScript module and its wasm. It does what the program worker-build of
// workers-rs does once cargo is through (its src/main.rs), which took two minutes to compile for these few lines.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, run } from "../setup.mjs";
import { named } from "./order.mjs";

/** Events whose handlers take what happened, the environment and the context; other exports are methods as they are. */
const EVENTS = ["fetch", "queue", "scheduled"];
/** What the shim itself uses. */
const SYSTEM = ["__wbg_reset_state", "__worker_init_state"];

/** All that wasm has, but what only the newest runtimes read. What one tool has written the next one keeps. */
const FEATURES = ["--all-features", "--disable-compact-imports"];

const OPTIMISED = [
  ...FEATURES,
  "-Os",
  // A function with one caller is inlined only if it is tiny: the large functions of all others take 6 % more, gzipped.
  "--one-caller-inline-max-function-size=10",
  // The first kilobyte is the last of a stack of 1 MiB.
  "--low-memory-unused",
];

/** The classes that Durable Objects are made of. `worker` exports others, which nothing here uses. */
const durableObjects = () =>
  [...readFileSync(path.join(root, "wrangler.toml"), "utf8").matchAll(/^class_name = "(\w+)"/gm)].map(
    ([, name]) => name,
  );

/**
 * The shim with a method for each function, and a class for each Durable Object, that the module exports. A crate with
 * JavaScript of its own receives its calls by that: the file `entry`.
 */
function shimFor(module, entry) {
  const exported = (kind) =>
    [...module.matchAll(new RegExp(`^export (?:async )?${kind} (\\w+)`, "gm"))].map(([, name]) => name);
  const functions = exported("function").filter((name) => !SYSTEM.includes(name));
  const handlers = functions.map((name) =>
    EVENTS.includes(name)
      ? `Entrypoint.prototype.${name} = function ${name} (arg) { return exports.${name}.call(this, arg, this.env, this.ctx); }`
      : `Entrypoint.prototype.${name} = exports.${name};`,
  );
  const durable = durableObjects();
  const classes = exported("class")
    .filter((name) => durable.includes(name))
    .map((name) => `export const ${name} = new Proxy(exports.${name}, classProxyHooks);`);
  const shim = readFileSync(path.join(root, "scripts/build/worker-shim.template"), "utf8");
  const core = `{ ${functions.map((name) => `${name}: exports.${name}`).join(", ")} }`;
  const life = "{ check: checkReinitialize, note: handleMaybeCritical }";
  const [own, main] = entry
    ? ["", `import { entry } from ${JSON.stringify(entry)};\nexport default entry(${core}, ${life});`]
    : [handlers.join("\n"), "export default new Proxy(Entrypoint, classProxyHooks);"];
  const filled = shim.replace("$HANDLERS", () => own).replace("$DEFAULT", () => main);
  return [filled, ...classes].join("\n");
}

/** The module in a form from which a bundler leaves out a class that nobody uses. */
const separable = (module) =>
  module
    .replace(/^if \(Symbol\.dispose\) .*\n/gm, "")
    .replaceAll("new FinalizationRegistry(", "/* @__PURE__ */ new FinalizationRegistry(");

/** Makes each `document:<file>` a text: that file of the crate's folder `openapi`, its JSON on one line. */
const documentsOf = (folder) => ({
  name: "documents",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^document:/ }, ({ path }) => ({ namespace: "document", path: path.slice(9) }));
    onLoad({ filter: /./, namespace: "document" }, ({ path: name }) => {
      const text = readFileSync(path.join(folder, "openapi", name), "utf8");
      return { contents: name.endsWith(".json") ? JSON.stringify(JSON.parse(text)) : text, loader: "text" };
    });
  },
});

/** The description of a program, for wasm-metadce, of which `script` uses a part. */
function graphOf(program, script) {
  const used = new Set([...script.matchAll(/\.(\w+)/g)].map(([, name]) => name));
  const names = WebAssembly.Module.exports(new WebAssembly.Module(program)).map(({ name }) => name);
  const nodes = names.filter((name) => used.has(name)).map((name) => ({ name, export: name }));
  return JSON.stringify([{ name: "script", reaches: nodes.map(({ name }) => name), root: true }, ...nodes]);
}

/**
 * Leaves out what `script` does not use, and optimises the rest for size, alike functions side by side. The result has no names
 * of functions.
 */
async function shrink(program, script, { wasmOpt, metadce }) {
  const graph = `${program}.graph`;
  writeFileSync(graph, graphOf(readFileSync(program), script));
  await run(metadce, [...FEATURES, program, "--graph-file", graph, "-o", program], { quiet: true });
  rmSync(graph);
  await run(wasmOpt, [...OPTIMISED, program, "-o", program], { quiet: true });
  writeFileSync(program, named(readFileSync(program)));
  const last = ["--converge", "--reorder-functions-by-name"];
  await run(wasmOpt, [...OPTIMISED, ...last, program, "-o", program], { quiet: true });
}

/**
 * Fills the empty folder `to` with what cargo compiled to `wasm` of the crate in `folder`. Without `optimizer` that stays
 * as it is.
 */
export async function layOutWorker(to, { folder, wasm, bindgen, optimizer }) {
  await run(bindgen, ["worker", wasm, to, "index"], { quiet: true });
  const { build } = await import("esbuild");
  const index = path.join(to, "index.js");
  const entry = path.join(folder, "js/entry.js");
  const program = path.join(to, "index_bg.wasm");
  const module = separable(readFileSync(index, "utf8"));
  writeFileSync(index, module);
  const bundled = await build({
    stdin: { contents: shimFor(module, existsSync(entry) ? entry : undefined), resolveDir: to },
    plugins: [documentsOf(folder)],
    external: ["./index_bg.wasm", "cloudflare:*"],
    format: "esm",
    bundle: true,
    minify: true,
    write: false,
    logLevel: "error",
  });
  const [{ text: script }] = bundled.outputFiles;
  for (const name of readdirSync(to))
    if (name !== "index_bg.wasm") rmSync(path.join(to, name), { recursive: true });
  if (optimizer) await shrink(program, script, optimizer);
  // Wrangler's bundler does not know the source phase; of wasm the runtime makes a module all the same.
  writeFileSync(index, script.replace("import source ", "import "));
}
