import { defineConfig } from 'vitest/config'
import { alias, BUILT, testsThatSay } from './vitest.config.js'

/** Those of which `npm test` plays the first rows alone: they say so by one of these. */
const SAY_SO = /\/support\/matrix\.js'|\bitConformsToo\b|\bEXPRESSES\b/
const MATRICES = testsThatSay(SAY_SO)

const project = (name: string, groupOrder: number, include: string[], options: object) => ({
  resolve: { alias },
  test: {
    name,
    include,
    sequence: { groupOrder },
    provide: { playsAllRows: true },
    server: { deps: { external: BUILT } },
    testTimeout: 180_000,
    // Some install packages, as a stranger does.
    hookTimeout: 600_000,
    expect: { poll: { timeout: 15_000 } },
    ...options,
  },
})

/** What `npm test` leaves out to stay under three minutes: the long tests one after the other, and the matrices with all their rows. */
export default defineConfig({
  test: {
    globalSetup: ['test/long/pack.ts', 'test/support/programs.ts'],
    projects: [project('long', 0, ['test/long/**/*.test.ts'], { maxWorkers: 1 }), project('matrices', 1, MATRICES, { maxWorkers: 3, restoreMocks: true, unstubEnvs: true })],
  },
})
