// `npm run dev`: builds the parts whose sources change, and has each loaded once it is built.
import { watch } from "node:fs";
import path from "node:path";
import { build, isBuilt, sourcesOf } from "../build/build.mjs";
import { root, say } from "../setup.mjs";

/** An editor writes several files at once. */
const SETTLE_MS = 100;

/** Watches the sources of these parts; `reload(part)` follows each build. A part that does not compile goes on as it was. */
export function watchSources(parts, reload) {
  let timer;
  let isAtWork = false;
  let isAsked = false;

  async function rebuild() {
    isAsked = true;
    if (isAtWork) return;
    isAtWork = true;
    while (isAsked) {
      isAsked = false;
      for (const part of parts.filter((name) => !isBuilt(name))) {
        const began = Date.now();
        try {
          await build(part);
          await reload(part);
          say(`${part} is loaded again, after ${((Date.now() - began) / 1000).toFixed(1)} s`);
        } catch (error) {
          console.error(`${part}: ${error.message}\nWhat was built before goes on.`);
        }
      }
    }
    isAtWork = false;
  }

  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(rebuild, SETTLE_MS);
  };
  for (const folder of new Set(parts.flatMap(sourcesOf)))
    watch(path.join(root, folder), { recursive: true }, ask);
  watch(root, ask);
}
