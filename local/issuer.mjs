// A stand-in for Clerk: signs the same kind of session JWT and serves the key set that the API
// checks it against, on the same code path as in production.
import { createHash, createHmac, createPublicKey, createSign, generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { listen } from "./listen.mjs";
import path from "node:path";

export const people = {
  admin: "Ada Admin · platform admin",
  manager: "Max Manager · MANAGER of Automation",
  developer: "Dana Developer · DEVELOPER of Automation",
  viewer: "Vera Viewer · VIEWER of Automation",
  newcomer: "Nick Newcomer · no team yet",
};

const base64url = (value) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A key pair, kept in `file` if one is named, so that sessions survive a restart. */
function keyPair(file) {
  if (file && existsSync(file)) return readFileSync(file, "utf8");
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  if (file) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, pem, { mode: 0o600 });
  }
  return pem;
}

/** Signs tokens, good ones and, for tests, bad ones. */
export function createSigner({ issuer, origin, keyFile }) {
  const privateKey = keyPair(keyFile);
  const publicKey = createPublicKey(privateKey);
  const jwk = publicKey.export({ format: "jwk" });
  const kid = `local-${createHash("sha256").update(jwk.n).digest("hex").slice(0, 12)}`;
  const sign = (
    user,
    { claims = {}, header = {}, expiresIn = 3600, alg = "RS256", key = privateKey } = {},
  ) => {
    const now = Math.floor(Date.now() / 1000);
    const body = {
      sub: user,
      iss: issuer,
      azp: origin,
      iat: now,
      nbf: now - 5,
      exp: now + expiresIn,
      sid: `sess_${user}`,
      ...claims,
    };
    const signed = `${base64url({ alg, typ: "JWT", kid, ...header })}.${base64url(body)}`;
    if (alg === "none") return `${signed}.`;
    if (alg === "HS256") {
      const secret = publicKey.export({ type: "spki", format: "pem" });
      return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
    }
    return `${signed}.${createSign("RSA-SHA256").update(signed).sign(key, "base64url")}`;
  };
  return { sign, jwks: { keys: [{ ...jwk, kid, alg: "RS256", use: "sig" }] } };
}

function signInPage(back) {
  const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const buttons = Object.entries(people)
    .map(([name, who]) => `<li><button name="user" value="${name}">${escape(who)}</button></li>`)
    .join("");
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Local sign-in</title>
<meta name="viewport" content="width=device-width"><style>body{font:16px system-ui;max-width:26rem;margin:10vh auto;padding:0 1rem}
ul{list-style:none;padding:0}button{font:inherit;width:100%;padding:.8rem;margin:.2rem 0;text-align:start}</style>
<main><h1>Sign in locally</h1><p>This stands in for Clerk while you develop.</p>
<form method="post"><input type="hidden" name="redirect_url" value="${escape(back)}"><ul>${buttons}</ul></form></main></html>`;
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * Serves the key set, `POST /token` for scripts and a sign-in page for people.
 * @param {{ port?: number, origin: string, keyFile?: string }} options
 */
export async function startIssuer({ port = 0, origin, keyFile }) {
  const server = createServer(async (request, response) => {
    const at = new URL(request.url, url);
    const reply = (status, value, headers = {}) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      const type = typeof value === "string" ? "text/html; charset=utf-8" : "application/json";
      response
        .writeHead(status, { "content-type": type, "access-control-allow-origin": origin, ...headers })
        .end(text);
    };
    const key = `${request.method} ${at.pathname}`;
    if (key === "GET /.well-known/jwks.json") return reply(200, signer.jwks);
    if (key === "GET /health") return reply(200, { status: "ok", service: "issuer" });
    if (request.method === "OPTIONS") {
      return reply(204, "", {
        "access-control-allow-headers": "content-type",
        "access-control-allow-methods": "GET, POST",
      });
    }
    if (key === "POST /token") {
      const asked = await body(request)
        .then(JSON.parse)
        .catch(() => null);
      if (!asked || !Object.hasOwn(people, asked.user)) {
        return reply(422, { error: `"user" must be one of ${Object.keys(people).join(", ")}` });
      }
      const expiresIn = Math.min(Math.max(Number(asked.expires_in) || 3600, 1), 86_400);
      return reply(200, {
        token: signer.sign(`user_${asked.user}`, { expiresIn }),
        user: `user_${asked.user}`,
        expires_in: expiresIn,
      });
    }
    if (key === "GET /sign-in") return reply(200, signInPage(at.searchParams.get("redirect_url") ?? origin));
    if (key === "POST /sign-in") {
      const form = new URLSearchParams(await body(request));
      const back = new URL(form.get("redirect_url") || origin);
      // Only back to the UI: no other page may receive a session.
      if (back.origin !== origin || !Object.hasOwn(people, form.get("user")))
        return reply(422, { error: "bad redirect or user" });
      back.hash = `__session=${signer.sign(`user_${form.get("user")}`)}`;
      return reply(303, "", { location: back.href });
    }
    reply(404, { error: "not found" });
  });
  const url = `http://localhost:${await listen(server, port)}`;
  const signer = createSigner({ issuer: url, origin, keyFile });
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url, sign: signer.sign, close };
}
