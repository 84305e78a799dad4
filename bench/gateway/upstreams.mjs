// What is behind the measured Workers: nginx, which takes next to nothing of the CPU, and a Worker that streams.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { ensureNginx } from "../../scripts/setup.mjs";
import { eventually, freePorts } from "../../tests/support/harness.mjs";
import { startAlone } from "../../tests/support/runtime.mjs";

const config = (folder, port) => `
  daemon off;
  worker_processes 1;
  pid ${folder}/pid;
  error_log stderr;
  events { worker_connections 1024; }
  http {
    access_log off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path ${folder}/body;
    proxy_temp_path ${folder}/proxy;
    fastcgi_temp_path ${folder}/fastcgi;
    uwsgi_temp_path ${folder}/uwsgi;
    scgi_temp_path ${folder}/scgi;
    server {
      listen 127.0.0.1:${port};
      root ${folder};
      default_type application/json;
      location / { return 200 '{"text":"${"x".repeat(1_000)}"}'; }
      location ~ /large$ { try_files /large =404; }
    }
  }`;

/** Starts nginx. It responds with 1 KB, and with 1 MB to paths that end in `/large`. */
export async function startNginx() {
  const command = await ensureNginx();
  const folder = mkdtempSync(path.join(tmpdir(), "bench-nginx-"));
  // Started by root, it serves files as another user.
  chmodSync(folder, 0o755);
  const [port] = await freePorts(1);
  writeFileSync(path.join(folder, "nginx.conf"), config(folder, port));
  writeFileSync(path.join(folder, "large"), Buffer.alloc(1 << 20, "x"), { mode: 0o644 });
  const child = spawn(command, ["-p", folder, "-c", path.join(folder, "nginx.conf")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const url = `http://127.0.0.1:${port}`;
  const ended = once(child, "exit");
  const stop = async () => {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  process.on("exit", () => child.kill());
  await eventually(async () => (await fetch(url).catch(() => ({ ok: false }))).ok, 10_000, "nginx");
  return { url, stop };
}

/** Events of a chat that is streamed as OpenAI streams it, a millisecond apart. */
const streamScript = `
  const piece = (choices, more) => "data: " + JSON.stringify({
    id: "chatcmpl-1", object: "chat.completion.chunk", created: 1767225600, model: "demo-1", choices, ...more }) + "\\n\\n";
  const events = Array.from({ length: 50 }, (_, i) => piece([{ index: 0, delta: { content: " word" + i }, finish_reason: null }]));
  const usage = { prompt_tokens: 9, completion_tokens: 50, total_tokens: 59 };
  events.push(piece([], { usage }), "data: [DONE]\\n\\n");
  const bytes = events.map((event) => new TextEncoder().encode(event));
  export default { async fetch(request) {
    await request.arrayBuffer();
    let n = 0;
    return new Response(new ReadableStream({ async pull(controller) {
      if (n > 0) await scheduler.wait(1);
      controller.enqueue(bytes[n]);
      if (++n === bytes.length) controller.close();
    } }), { headers: { "content-type": "text/event-stream" } });
  } };`;

export const startStreaming = () => startAlone({ modules: true, script: streamScript });
