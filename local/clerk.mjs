// A stand-in for Clerk's Backend API and its webhooks: paths, headers, bodies, errors and paging as Clerk
// has them, so that only the base address differs. Its data follows Clerk's published reference.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { listen } from "./listen.mjs";

const id = (prefix) => `${prefix}_${randomBytes(13).toString("hex")}`;

/**
 * A person in Clerk's format.
 * @param {Record<string, any>} person
 */
export function clerkUser({
  id: user = id("user"),
  email,
  verified = true,
  first_name = null,
  last_name = null,
  at = Date.now(),
  ...more
}) {
  const address = email && {
    id: id("idn"),
    object: "email_address",
    email_address: email,
    linked_to: [],
    verification: { status: verified ? "verified" : "unverified", strategy: "email_code" },
  };
  return {
    id: user,
    object: "user",
    username: null,
    first_name,
    last_name,
    image_url: `https://img.clerk.example/${user}`,
    has_image: false,
    primary_email_address_id: address ? address.id : null,
    email_addresses: address ? [address] : [],
    phone_numbers: [],
    external_accounts: [],
    public_metadata: {},
    private_metadata: {},
    unsafe_metadata: {},
    last_sign_in_at: null,
    banned: false,
    locked: false,
    created_at: at,
    updated_at: at,
    ...more,
  };
}

/** The headers and body of a webhook, signed as Svix does. */
export function webhook(
  secret,
  type,
  data,
  { message = id("msg"), at = Math.floor(Date.now() / 1000) } = {},
) {
  const body = JSON.stringify({
    data,
    object: "event",
    type,
    timestamp: at * 1000,
    instance_id: "ins_local",
    event_attributes: { http_request: { client_ip: "0.0.0.0", user_agent: "" } },
  });
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = createHmac("sha256", key).update(`${message}.${at}.${body}`).digest("base64");
  return {
    body,
    headers: {
      "content-type": "application/json",
      "svix-id": message,
      "svix-timestamp": String(at),
      "svix-signature": `v1,${signature}`,
    },
  };
}

/** Serves `/v1/users` and `/v1/invitations`. `failing` makes every call respond with that status. */
export async function startClerk({
  port = 0,
  secretKey = `sk_test_${randomBytes(20).toString("hex")}`,
  users = [],
} = {}) {
  const state = {
    users: new Map(users.map((user) => [user.id, user])),
    invitations: [],
    requests: [],
    failing: null,
    delayMs: 0,
  };
  const authorized = (header = "") => {
    const [given, wanted] = [Buffer.from(header), Buffer.from(`Bearer ${secretKey}`)];
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url, "http://clerk");
    const text = Buffer.concat(chunks).toString("utf8");
    state.requests.push({ method: request.method, path: url.pathname, body: text });
    if (state.delayMs) await new Promise((resolve) => setTimeout(resolve, state.delayMs));
    const reply = (status, value) =>
      response
        .writeHead(status, { "content-type": "application/json", "clerk-trace-id": "local" })
        .end(JSON.stringify(value));
    const fail = (status, code, message, meta) =>
      reply(status, {
        errors: [{ message, long_message: message, code, ...(meta && { meta }) }],
        clerk_trace_id: "local",
      });
    if (!authorized(request.headers.authorization))
      return fail(401, "authentication_invalid", "Invalid authentication");
    if (state.failing)
      return fail(state.failing, "internal_clerk_error", "There was an internal error on our servers.");
    const page = (all) => {
      const [limit, offset] = [
        Number(url.searchParams.get("limit") ?? 10),
        Number(url.searchParams.get("offset") ?? 0),
      ];
      if (!(limit >= 1 && limit <= 500))
        return fail(422, "form_param_value_invalid", "limit must be between 1 and 500", {
          param_name: "limit",
        });
      return reply(200, all.slice(offset, offset + limit));
    };
    const [, , kind, name, action] = url.pathname.split("/");
    const route = `${request.method} ${kind}${name ? "/id" : ""}${action ? `/${action}` : ""}`;
    if (route === "GET users") return page([...state.users.values()]);
    if (route === "GET users/id") {
      const user = state.users.get(decodeURIComponent(name));
      return user ? reply(200, user) : fail(404, "resource_not_found", "not found");
    }
    if (route === "GET invitations") return page(state.invitations);
    if (route === "POST invitations") {
      const asked = JSON.parse(text || "{}");
      if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(asked.email_address ?? ""))
        return fail(422, "form_param_format_invalid", "Email address must be a valid email address.", {
          param_name: "email_address",
        });
      if (asked.email_address.endsWith("@blocked.example"))
        return fail(422, "form_identifier_not_allowed", "This address is not allowed.", {
          param_name: "email_address",
        });
      const exists = state.invitations.some(
        (i) => i.email_address === asked.email_address && i.status === "pending",
      );
      if (exists && !asked.ignore_existing)
        return fail(400, "duplicate_record", "There are already pending invitations.", {
          param_name: "email_address",
        });
      const invitation = {
        id: id("inv"),
        object: "invitation",
        email_address: asked.email_address,
        public_metadata: asked.public_metadata ?? {},
        revoked: false,
        status: "pending",
        url: `https://accounts.example/invite?ticket=${id("t")}`,
        created_at: Date.now(),
        updated_at: Date.now(),
      };
      state.invitations.push(invitation);
      return reply(200, invitation);
    }
    if (route === "POST invitations/id/revoke") {
      const invitation = state.invitations.find((i) => i.id === name);
      if (!invitation) return fail(404, "resource_not_found", "not found");
      if (invitation.status !== "pending")
        return fail(400, "invitation_already_accepted", "Invitation cannot be revoked.");
      Object.assign(invitation, { status: "revoked", revoked: true });
      return reply(200, invitation);
    }
    fail(404, "resource_not_found", "not found");
  });
  const taken = await listen(server, port);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${taken}`, secretKey, close, ...state, state };
}
