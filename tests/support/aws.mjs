// AWS's protocols from independent implementations: aws4fetch and botocore sign the requests that an upstream
// received; s3s-fs is an S3 server that checks signatures.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { AwsV4Signer } from "aws4fetch";
import { ensureLibraries, ensureS3Server, root } from "../../scripts/setup.mjs";
import { eventually, freePorts } from "./harness.mjs";

export const keys = { access_key_id: "AKIDEXAMPLE", secret_access_key: "s3cret/of+aws", region: "eu-west-1" };

/** Returns the headers that a received call's signature covers. */
function coveredHeaders({ headers }) {
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization)[1].split(";");
  return Object.fromEntries(names.filter((name) => name !== "host").map((name) => [name, headers[name]]));
}

/** The `Authorization` that aws4fetch computes for a received call, with the keys of `by`. */
export async function byAws4fetch(received, service, body = undefined, by = keys) {
  const signer = new AwsV4Signer({
    method: received.method,
    url: `http://${received.headers.host}${received.url}`,
    headers: coveredHeaders(received),
    // Like a browser, aws4fetch accepts no body with methods such as GET.
    body,
    accessKeyId: by.access_key_id,
    secretAccessKey: by.secret_access_key,
    sessionToken: received.headers["x-amz-security-token"],
    service,
    region: keys.region,
    datetime: received.headers["x-amz-date"],
    allHeaders: true,
  });
  return (await signer.sign()).headers.get("authorization");
}

/** Runs a script of this folder with Python and the tests' libraries. Returns its output. */
export async function python(script, args, input = "") {
  const child = spawn(await ensureLibraries(), [path.join(root, "tests/support", script), ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (errors += chunk));
  child.stdin.end(input);
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${errors}`);
  return output;
}

/** The signatures that botocore computes for received calls, each `{ received, service, body }`, with the keys of `by`. */
export async function byBotocore(calls, by = keys) {
  const given = calls.map(({ received, service, body = "" }) => ({
    method: received.method,
    url: `http://${received.headers.host}${received.url}`,
    headers: { ...coveredHeaders(received), host: received.headers.host },
    at: received.headers["x-amz-date"],
    service,
    body,
  }));
  return JSON.parse(await python("botocore_sign.py", [], JSON.stringify({ ...by, calls: given })));
}

/** Starts an S3 server with these buckets, which accepts only `keys`. */
export async function startS3(buckets) {
  const folder = mkdtempSync(path.join(tmpdir(), "s3-"));
  for (const bucket of buckets) mkdirSync(path.join(folder, bucket));
  const [port] = await freePorts(1);
  const child = spawn(
    await ensureS3Server(),
    [
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--access-key",
      keys.access_key_id,
      "--secret-key",
      keys.secret_access_key,
      folder,
    ],
    { stdio: "ignore" },
  );
  const listens = () =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(socket.destroy())).on("error", () =>
        resolve(false),
      );
    });
  await eventually(listens, 10_000, "the start of the S3 server");
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
