// Runs before the first paint. The names stored, the theme's class and the default language must
// agree with `src/state/preferences.rs`, which takes over once the program has started.
{
  const stored = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // Storage is forbidden: the system's own preferences apply.
    }
  };

  const theme = stored("theme");
  const isDark =
    theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("pf-v6-theme-dark", isDark);
  document.documentElement.lang =
    stored("language") ?? (navigator.language.startsWith("zh") ? "zh-Hant" : "en");

  /**
   * Repairs a load during a deployment. A location that has the new page, but not yet its files, responds
   * with the page, which the browser would cache indefinitely. The files are fetched once more, and the page is
   * opened again. Returns whether it is.
   */
  async function isReloading(files) {
    try {
      if (sessionStorage.getItem("reloaded") === files.join()) return false;
      sessionStorage.setItem("reloaded", files.join());
    } catch {
      return false;
    }
    const styles = [...document.querySelectorAll("link[rel=stylesheet]")].map((link) => link.href);
    await Promise.allSettled([...files, ...styles].map((file) => fetch(file, { cache: "reload" })));
    location.reload();
    return true;
  }

  addEventListener("DOMContentLoaded", async () => {
    const { module, wasm } = document.getElementById("program").dataset;
    try {
      const { default: start } = await import(module);
      await start({ module_or_path: wasm });
    } catch (error) {
      console.error(error);
      if (await isReloading([module, wasm])) return;
      document.getElementById("boot-loading")?.setAttribute("hidden", "");
      document.getElementById("boot-failed")?.removeAttribute("hidden");
    }
  });
}
