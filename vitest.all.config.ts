import { defineConfig } from 'vitest/config'
import { alias } from './vitest.config.js'

/** The long matrices: what `npm test` leaves out to stay under three minutes. */
export default defineConfig({
  resolve: { alias },
  test: { include: ['test/long/**/*.test.ts'], globalSetup: ['test/long/pack.ts', 'test/support/programs.ts'], testTimeout: 180_000, hookTimeout: 180_000, expect: { poll: { timeout: 15_000 } } },
})
