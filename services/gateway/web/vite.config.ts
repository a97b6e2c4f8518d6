/**
 * The build: two pages, every view and every heavy library in a chunk of its own, loaded when first needed.
 *
 * No inline script or style may appear, since the page is served under a policy without exceptions; and no chunk may be
 * named `argon2-*` but the one worker that is allowed to compile WebAssembly (src/workers/argon2.ts).
 */
import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  // The lightweight build loads curves and ciphers only when a key asks for them; the tests, in Node.js, use the whole one.
  resolve: { alias: { openpgp: "openpgp/lightweight" } },
  build: {
    // The operators' page is one of its own: what it needs is never loaded with the mail.
    rolldownOptions: { input: ["index.html", "operator.html"] },
    target: ["chrome123", "firefox128", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: true,
  },
  worker: { format: "es", rolldownOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
