// Runs wrangler and reads its output.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root } from "../../setup.mjs";
import { Stop } from "./stage.mjs";

/** wrangler has ended with an error; `output` is its whole output. */
export class WranglerError extends Stop {
  constructor(args, code, output) {
    super(`wrangler ${args.join(" ")} ended with ${code}:\n${output.trim()}`);
    this.output = output;
  }
}

const quiet = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  NO_COLOR: "1",
  FORCE_COLOR: "0",
  CI: "1",
};

/**
 * Runs wrangler without asking anything, and resolves to its standard output.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, input?: string }} [options]
 */
export function wrangler(args, { env = {}, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [path.join(root, "node_modules/wrangler/bin/wrangler.js"), ...args],
      {
        cwd: root,
        env: { ...process.env, ...quiet, ...env },
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    const said = { stdout: "", all: "" };
    child.stdout.on("data", (chunk) => ((said.stdout += chunk), (said.all += chunk)));
    child.stderr.on("data", (chunk) => (said.all += chunk));
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(said.stdout) : reject(new WranglerError(args, code, said.all)),
    );
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** The JSON in wrangler's output, which may begin with a warning. */
export function json(text) {
  const start = text.search(/^[[{]/m);
  if (start < 0) throw new Stop(`wrangler's answer holds no JSON:\n${text}`);
  return JSON.parse(text.slice(start));
}

/** Runs wrangler and returns the entries that it writes for programs (WRANGLER_OUTPUT_FILE_PATH). */
export async function withOutput(args, options = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), "wrangler-"));
  const file = path.join(folder, "output.ndjson");
  try {
    await wrangler(args, { ...options, env: { ...options.env, WRANGLER_OUTPUT_FILE_PATH: file } });
    return existsSync(file)
      ? readFileSync(file, "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line))
      : [];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
