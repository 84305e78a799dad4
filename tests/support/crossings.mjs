// Looks at the wasm instance of a Worker's build, which is evaluated after this module: the size of its memory, and, with
// the variable `COUNT_CROSSINGS`, how often the border between JavaScript and wasm is crossed.
import { env } from "cloudflare:workers";

const instances = [];
/** Calls by the name of the function: imports are called by wasm, exports by JavaScript. */
const counts = { imports: {}, exports: {} };

/** The functions among `all`, each of which counts its calls. Everything else stays as it is. */
function counted(all, kind) {
  const wrapped = Object.entries(all).map(([name, value]) => {
    if (typeof value !== "function") return [name, value];
    const count = (...args) => {
      counts[kind][name] = (counts[kind][name] ?? 0) + 1;
      return value(...args);
    };
    return [name, count];
  });
  return Object.fromEntries(wrapped);
}

const { Instance } = WebAssembly;
WebAssembly.Instance = /** @type {any} */ (
  function (module, imports) {
    const isCounted = env.COUNT_CROSSINGS === "true";
    const wrapped = Object.entries(imports).map(([from, all]) => [from, counted(all, "imports")]);
    const instance = new Instance(module, isCounted ? Object.fromEntries(wrapped) : imports);
    instances.push(instance);
    return isCounted ? { exports: counted(instance.exports, "exports") } : instance;
  }
);

/** Returns the bytes of the memories, and the calls so far. */
export const crossings = () => ({
  memory: instances.reduce((sum, { exports }) => sum + exports.memory.buffer.byteLength, 0),
  ...counts,
});
