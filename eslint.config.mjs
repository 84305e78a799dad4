// The rules for all JavaScript. How it looks is Prettier's matter.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/build/", "!scripts/build/", "**/dist/", "**/target/", ".wrangler/", ".tools/"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: { ...globals.node } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-console": "off",
      "no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": ["error", { destructuring: "all" }],
    },
  },
  // The gateway's own JavaScript sees the Workers runtime.
  {
    files: ["gateway/js/**"],
    languageOptions: {
      globals: { ...globals.serviceworker, IdentityTransformStream: "readonly", WebSocketPair: "readonly" },
    },
  },
  // Functions that run in a page see the browser.
  {
    files: [
      "tests/ui/**",
      "tests/support/ui.mjs",
      "tests/repo/first-load.test.mjs",
      "bench/ui.mjs",
      "tests/support/screenshots.mjs",
      "local/clerk-frontend.mjs",
    ],
    languageOptions: { globals: globals.browser },
  },
];
