import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const gateway = "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // No inline scripts and no data: URLs, because the gateway sends a strict Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/ws": { target: gateway, ws: true }, "/page.json": gateway },
  },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
