// The `_headers` of Pages, made from the built files and their config.json, so that the addresses are in one
// place. After a change of config.json in the built folder run: node scripts/build/headers.mjs [admin-ui/dist]
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The host of Clerk's scripts and its Frontend API, which a publishable key names: `pk_live_` + base64 of `host$`. */
export function clerkOrigin(key) {
  if (!key) return null;
  const host = Buffer.from(key.replace(/^pk_(test|live)_/, ""), "base64").toString("latin1");
  if (!/^pk_(test|live)_/.test(key) || !/^[a-z0-9.-]+\$$/.test(host))
    throw new Error("config.json: clerk_publishable_key is none of Clerk's");
  return `https://${host.slice(0, -1)}`;
}

/**
 * The Content-Security-Policy for a config.json. `style-src-attr` is the one relaxation: components position
 * and size themselves through `style` attributes, which cannot run code. With Clerk also its own list
 * (clerk.com/docs, "CSP headers") without inline scripts: its forms write their styles at run time, and
 * Cloudflare's challenge tells people from robots when an account is made.
 */
export function policy({ api, gateway, clerk_publishable_key: key }) {
  const clerk = clerkOrigin(key);
  const withClerk = (...sources) => (clerk ? sources : []);
  const protect = withClerk("https://challenges.cloudflare.com", "https://*.protect.clerk.com");
  const directives = {
    "default-src": ["'none'"],
    "script-src": ["'self'", "'wasm-unsafe-eval'", ...withClerk(clerk), ...protect],
    "style-src": ["'self'", ...withClerk("'unsafe-inline'")],
    "style-src-attr": ["'unsafe-inline'"],
    "img-src": ["'self'", "data:", ...withClerk("https://img.clerk.com")],
    "font-src": ["'self'"],
    "connect-src": ["'self'", api, gateway, ...withClerk(clerk, "https://*.protect.clerk.com:*")],
    "worker-src": withClerk("'self'", "blob:"),
    "frame-src": protect,
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
  };
  return Object.entries(directives)
    .filter(([, sources]) => sources.length > 0)
    .map(([name, sources]) => `${name} ${sources.join(" ")}`)
    .join("; ");
}

/** Names with a hash of their content: other content has another name. All other files are revalidated. */
const isHashed = (name) => /-[0-9a-f]{16}(\.\w+)?$/.test(name);

export function headers(config, files) {
  const forEver = ["assets", ...files.filter(isHashed)].map((name) => (name.includes(".") ? `/${name}` : `/${name}/*`));
  return `/*
  Content-Security-Policy: ${policy(config)}
  Cross-Origin-Opener-Policy: same-origin
  Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()
  Referrer-Policy: no-referrer
  Strict-Transport-Security: max-age=31536000
  X-Content-Type-Options: nosniff
  X-Frame-Options: DENY

/config.json
  Cache-Control: no-store
${forEver.map((name) => `\n${name}\n  Cache-Control: public, max-age=31536000, immutable\n`).join("")}`;
}

export function writeHeaders(folder) {
  const config = JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"));
  writeFileSync(path.join(folder, "_headers"), headers(config, readdirSync(folder).sort()));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeHeaders(process.argv[2] ?? "admin-ui/dist");
