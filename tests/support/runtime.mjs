// Workers in runtimes of their own, and what these take of the CPU.
import { readFileSync, readdirSync } from "node:fs";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import path from "node:path";
import { root } from "../../scripts/setup.mjs";
import { freePorts, runtimePids } from "./harness.mjs";

/** Runs `start` and returns its result with the process of the runtime that it has started. */
export async function withPid(start) {
  const before = new Set(pids());
  const started = await start();
  const pid = pids().find((pid) => !before.has(pid));
  return { started, pid };
}

function pids() {
  try {
    return runtimePids();
  } catch {
    // pgrep has found none.
    return [];
  }
}

/** The CPU time of a running process in ms, exact to microseconds; threads that have ended are not in it. */
export function cpuMs(pid) {
  const tasks = `/proc/${pid}/task`;
  const of = (task) => Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]);
  return readdirSync(tasks).reduce((sum, task) => sum + of(task), 0) / 1e6;
}

/** The CPU time of a process in ms since its start, ended threads included, exact to 10 ms. */
export function cpuSinceStartMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** One Worker in a runtime of its own, on a socket. */
export async function startAlone(worker) {
  const [port] = await freePorts(1);
  const whole = {
    name: "alone",
    compatibilityDate: "2026-11-01",
    ...worker,
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  };
  const { started: runtime, pid } = await withPid(async () => {
    const made = new Miniflare(
      convertV4MiniflareOptions({ workers: [whole], cf: false, log: new Log(LogLevel.ERROR) }),
    );
    await made.ready;
    return made;
  });
  return { url: `http://127.0.0.1:${port}`, pid, stop: () => runtime.dispose() };
}

/** The modules of a Worker that was built in `folder`. */
export function builtWorker(folder, bindings) {
  const modulesRoot = path.join(root, folder);
  const file = (type, name) => ({ type, path: path.join(modulesRoot, name) });
  return {
    modulesRoot,
    modules: [file("ESModule", "index.js"), file("CompiledWasm", "index_bg.wasm")],
    bindings,
  };
}

export const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
