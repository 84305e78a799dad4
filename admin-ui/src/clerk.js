// Clerk's own scripts, from the Frontend API that the publishable key names (`pk_live_` + base64 of `host$`).
// Only the major version is named, so that Clerk's fixes arrive by themselves.
const SCRIPTS = ["@clerk/clerk-js@6/dist/clerk.browser.js", "@clerk/ui@1/dist/ui.browser.js"];

const append = (src, key) =>
  new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), {
      src,
      async: true,
      crossOrigin: "anonymous",
    });
    script.dataset.clerkPublishableKey = key;
    script.onload = resolve;
    script.onerror = () => {
      script.remove(); // Lets the next try load it again.
      reject(src);
    };
    document.head.append(script);
  });

/** Changes the address as the router does, and announces the change. */
const to = (change) => (address) => {
  history[change](null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
};

const token = (name) => `var(--pf-t--global--${name})`;
const appearance = {
  variables: {
    colorPrimary: token("color--brand--default"),
    colorPrimaryForeground: token("text--color--on-brand--default"),
    colorBackground: token("background--color--floating--default"),
    colorForeground: token("text--color--regular"),
    colorMutedForeground: token("text--color--subtle"),
    colorInput: token("background--color--control--default"),
    colorInputForeground: token("text--color--regular"),
    colorNeutral: token("text--color--regular"),
    colorDanger: token("text--color--status--danger--default"),
    fontFamily: token("font--family--body"),
    borderRadius: "6px",
  },
};

/** Returns the open session, if any. `onSession` is called for every later one. Rejects with the address that did not respond. */
export async function load(key, onSession) {
  let origin = key;
  try {
    origin = `https://${atob(key.split("_")[2]).slice(0, -1)}`;
    const missing = [globalThis.Clerk, globalThis.__internal_ClerkUICtor].map(
      (loaded, i) => !loaded && SCRIPTS[i],
    );
    await Promise.all(missing.filter(Boolean).map((script) => append(`${origin}/npm/${script}`, key)));
    const routes = { routerPush: to("pushState"), routerReplace: to("replaceState"), signInUrl: "/sign-in" };
    await Clerk.load({ ui: { ClerkUI: globalThis.__internal_ClerkUICtor }, appearance, ...routes });
  } catch (error) {
    console.error(error);
    throw typeof error === "string" ? error : origin;
  }
  // Between two sessions Clerk says `undefined`: nothing is decided yet. Without a session it says null.
  Clerk.addListener(({ session }) => session === undefined || onSession(session?.id));
  return Clerk.session?.id;
}

/** The time that a call waits for Clerk's decision. */
const UNDECIDED_MS = 5_000;

/** Resolves when Clerk knows whether there is a session; rejects if it does not come to know it. */
const decided = () =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("Clerk is undecided")), UNDECIDED_MS);
    const stop = Clerk.addListener(({ session }) => {
      if (session === undefined) return;
      clearTimeout(late);
      queueMicrotask(() => stop());
      resolve(session);
    });
  });

/** Returns the token of a call. Clerk caches it until shortly before its end, a minute later. */
export async function getToken() {
  if (Clerk.session === undefined) await decided();
  return (await Clerk.session?.getToken()) ?? undefined;
}

const here = () => ({ fallbackRedirectUrl: location.href, signUpFallbackRedirectUrl: location.href });
/** Shows the form to sign in, also to people without an account if the instance lets them make one. */
export const mountSignIn = (node) => Clerk.mountSignIn(node, { routing: "hash", ...here() });
export const unmountSignIn = (node) => Clerk.unmountSignIn(node);
export const openProfile = () => Clerk.openUserProfile();
export const signOut = () => Clerk.signOut({ redirectUrl: location.href }).catch(console.error);
