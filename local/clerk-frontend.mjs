// A stand-in for Clerk's Frontend API up to the session token: Clerk's own published scripts run against it
// unchanged. Its data follows the type definitions that Clerk publishes (@clerk/shared, `types/json.d.ts`).
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { listen } from "./listen.mjs";
import path from "node:path";
import { clerkUser } from "./clerk.mjs";

const id = (prefix) => `${prefix}_${randomBytes(13).toString("hex")}`;

/** A publishable key of a development instance whose Frontend API is at `host`. */
export const publishableKey = (host) => `pk_test_${Buffer.from(`${host}$`).toString("base64")}`;

const attribute = (more = {}) => ({
  enabled: false,
  required: false,
  used_for_first_factor: false,
  first_factors: [],
  used_for_second_factor: false,
  second_factors: [],
  verifications: [],
  verify_at_sign_up: false,
  ...more,
});

/** The instance's settings: address and password; accounts are made by invitation unless `signUp`. */
function environment(origin, signUp) {
  const page = (name) => `${origin}/${name}`;
  const off = { enabled: false };
  return {
    auth_config: {
      object: "auth_config",
      id: id("aconf"),
      single_session_mode: true,
      claimed_at: null,
      reverification: false,
    },
    display_config: {
      object: "display_config",
      id: id("display_config"),
      application_name: "Token Manager",
      branded: false,
      instance_environment_type: "development",
      show_devmode_warning: false,
      captcha_public_key: null,
      captcha_widget_type: null,
      captcha_public_key_invisible: null,
      captcha_provider: null,
      captcha_oauth_bypass: null,
      preferred_sign_in_strategy: "password",
      support_email: "",
      logo_image_url: "",
      favicon_image_url: "",
      theme: { buttons: {}, general: {}, accounts: {} },
      home_url: page(""),
      sign_in_url: page("sign-in"),
      sign_up_url: page("sign-up"),
      user_profile_url: page("user"),
      after_sign_in_url: page(""),
      after_sign_up_url: page(""),
      after_sign_out_all_url: page(""),
      after_sign_out_one_url: page(""),
      after_switch_session_url: page(""),
      organization_profile_url: page(""),
      create_organization_url: page(""),
      after_leave_organization_url: page(""),
      after_create_organization_url: page(""),
      waitlist_url: page(""),
      after_join_waitlist_url: page(""),
      terms_url: "",
      privacy_policy_url: "",
    },
    user_settings: {
      attributes: {
        email_address: attribute({
          enabled: true,
          required: true,
          used_for_first_factor: true,
          first_factors: ["email_code"],
          verifications: ["email_code"],
          verify_at_sign_up: true,
        }),
        password: attribute({ enabled: true, required: true }),
        ...Object.fromEntries(
          [
            "phone_number",
            "username",
            "web3_wallet",
            "first_name",
            "last_name",
            "authenticator_app",
            "backup_code",
            "passkey",
          ].map((name) => [name, attribute()]),
        ),
      },
      actions: { delete_self: false, create_organization: false },
      social: {},
      enterprise_sso: off,
      saml: off,
      sign_in: { second_factor: { required: false } },
      sign_up: {
        mode: signUp ? "public" : "restricted",
        captcha_enabled: false,
        custom_action_required: false,
        progressive: true,
        legal_consent_enabled: false,
      },
      password_settings: {
        disable_hibp: true,
        min_length: 8,
        max_length: 72,
        require_special_char: false,
        require_numbers: false,
        require_uppercase: false,
        require_lowercase: false,
        show_zxcvbn: false,
        min_zxcvbn_strength: 0,
        allowed_special_characters: "",
      },
      passkey_settings: { allow_autofill: false, show_sign_in_button: false },
      username_settings: { min_length: 4, max_length: 64 },
    },
    organization_settings: {
      enabled: false,
      max_allowed_memberships: 0,
      force_organization_selection: false,
      actions: { admin_delete: false },
      domains: { enabled: false, enrollment_modes: [], default_role: null },
      slug: { disabled: true },
      organization_creation_defaults: off,
    },
    commerce_settings: {
      billing: {
        stripe_publishable_key: null,
        user: { enabled: false, has_paid_plans: false },
        organization: { enabled: false, has_paid_plans: false },
      },
    },
    api_keys_settings: { user_api_keys_enabled: false, orgs_api_keys_enabled: false },
    protect_config: { object: "protect_config", id: id("pconf"), rules: [] },
    maintenance_mode: false,
  };
}

/**
 * Serves one browser's Frontend API. `users` are by e-mail address `{ id, password, name }`; `sign(user, claims)`
 * makes the session's token; `packages` is the folder with Clerk's published packages, unpacked by name.
 */
export async function startClerkFrontend({ origin, users, sign, packages, signUp = false }) {
  const state = { requests: [], isAway: false };
  const client = {
    object: "client",
    id: id("client"),
    sessions: [],
    sign_in: null,
    sign_up: null,
    last_active_session_id: null,
    last_authentication_strategy: null,
    captcha_bypass: false,
    cookie_expires_at: null,
    created_at: Date.now(),
    updated_at: Date.now(),
  };
  const settings = environment(origin, signUp);
  const token = (session) => ({ object: "token", jwt: sign(session.user.id, { sid: session.id }) });
  const describe = (email) => {
    const [first_name, last_name] = users[email].name.split(" ");
    return {
      ...clerkUser({ id: users[email].id, email, first_name, last_name }),
      image_url: "",
      profile_image_id: "",
      external_id: null,
      primary_phone_number_id: null,
      primary_web3_wallet_id: null,
      web3_wallets: [],
      enterprise_accounts: [],
      passkeys: [],
      organization_memberships: [],
      password_enabled: true,
      totp_enabled: false,
      backup_code_enabled: false,
      two_factor_enabled: false,
      create_organization_enabled: false,
      create_organizations_limit: null,
      delete_self_enabled: false,
      legal_accepted_at: null,
    };
  };
  const signIn = (email) => ({
    object: "sign_in",
    id: id("sia"),
    status: "needs_first_factor",
    supported_identifiers: ["email_address"],
    identifier: email,
    supported_first_factors: [{ strategy: "password" }],
    supported_second_factors: [],
    first_factor_verification: null,
    second_factor_verification: null,
    user_data: { first_name: null, last_name: null, image_url: "", has_image: false },
    created_session_id: null,
  });
  const open = (email) => {
    const user = describe(email);
    const now = Date.now();
    const session = {
      object: "session",
      id: id("sess"),
      status: "active",
      user,
      public_user_data: {
        first_name: user.first_name,
        last_name: user.last_name,
        image_url: "",
        has_image: false,
        identifier: email,
        user_id: user.id,
      },
      factor_verification_age: [0, -1],
      last_active_organization_id: null,
      actor: null,
      tasks: null,
      last_active_at: now,
      expire_at: now + 604_800_000,
      abandon_at: now + 2_592_000_000,
      created_at: now,
      updated_at: now,
    };
    session.last_active_token = token(session);
    client.sessions = [session];
    client.last_active_session_id = session.id;
    return session;
  };
  const close = () => Object.assign(client, { sessions: [], last_active_session_id: null, sign_in: null });

  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url, "http://clerk");
    const form = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
    const cors = {
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "authorization",
    };
    const reply = (status, value) =>
      response.writeHead(status, { "content-type": "application/json", ...cors }).end(JSON.stringify(value));
    const done = (value) => reply(200, { response: value, client });
    const fail = (status, code, message, param) =>
      reply(status, {
        errors: [{ code, message, long_message: message, meta: param && { param_name: param } }],
        clerk_trace_id: "local",
      });

    const file = url.pathname.match(/^\/npm\/(@clerk\/[a-z-]+)@[\w.]+\/(dist\/[\w.-]+\.js)$/);
    if (file && !state.isAway) {
      const script = path.join(packages, file[1], file[2]);
      if (!existsSync(script)) return response.writeHead(404, cors).end();
      response.writeHead(200, { "content-type": "text/javascript", ...cors });
      return createReadStream(script).pipe(response);
    }
    // Clerk sends other methods as POST, so that the browser sends no preflight.
    const method = url.searchParams.get("_method") ?? request.method;
    const asked = `${method} ${url.pathname.replace(/^\/v1/, "").replace(/\/(sess|sia)_\w+/, "/:id")}`;
    state.requests.push(asked);
    if (state.isAway) return fail(503, "service_unavailable", "Away.");
    const session = client.sessions.find((session) => url.pathname.includes(session.id));
    switch (asked) {
      case "POST /dev_browser":
        return reply(200, { id: `dvb_${createHash("sha256").update(client.id).digest("hex").slice(0, 24)}` });
      case "GET /environment":
      case "PATCH /environment":
        return reply(200, settings);
      case "GET /client":
      case "PUT /client":
      case "POST /client":
        return done(client);
      case "POST /client/sign_ins": {
        const email = form.get("identifier");
        if (!Object.hasOwn(users, email ?? ""))
          return fail(422, "form_identifier_not_found", "Couldn't find your account.", "identifier");
        client.sign_in = signIn(email);
        if (form.get("strategy") !== "password") return done(client.sign_in);
      }
      // Address and password may come in one request, so this falls through.
      case "POST /client/sign_ins/:id/attempt_first_factor": {
        const email = client.sign_in?.identifier;
        if (!email || form.get("password") !== users[email].password)
          return fail(
            422,
            "form_password_incorrect",
            "Password is incorrect. Try again, or use another method.",
            "password",
          );
        Object.assign(client.sign_in, { status: "complete", created_session_id: open(email).id });
        const complete = client.sign_in;
        client.sign_in = null;
        return done(complete);
      }
      case "POST /client/sessions/:id/touch":
        return session ? done(session) : fail(404, "resource_not_found", "Session not found");
      case "POST /client/sessions/:id/tokens":
        return session ? reply(200, token(session)) : fail(404, "resource_not_found", "Session not found");
      case "POST /client/sessions/:id/remove":
      case "POST /client/sessions/:id/end":
      case "DELETE /client/sessions":
        close();
        return done(session ? { ...session, status: "removed" } : client);
      case "GET /me/sessions/active":
        return reply(
          200,
          client.sessions.map((session) => ({
            ...session,
            latest_activity: { object: "session_activity", id: id("sess_activity"), is_mobile: false },
          })),
        );
      default:
        return fail(404, "resource_not_found", `not found: ${asked}`);
    }
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    state,
    /** Ends the session as Clerk does when it is ended elsewhere. */
    endSession: close,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
