import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export const alias = [
  { find: /^latchkey$/, replacement: source('./src/index.ts') },
  { find: /^latchkey\/express$/, replacement: source('./src/adapters/express/index.ts') },
  { find: /^latchkey\/fastify$/, replacement: source('./src/adapters/fastify/index.ts') },
  { find: /^latchkey\/koa$/, replacement: source('./src/adapters/koa/index.ts') },
  { find: /^latchkey\/fetch$/, replacement: source('./src/adapters/fetch/index.ts') },
  { find: /^latchkey\/opentelemetry$/, replacement: source('./src/adapters/opentelemetry/index.ts') },
  { find: /^latchkey\/prometheus$/, replacement: source('./src/adapters/prometheus/index.ts') },
  { find: /^latchkey\/inspector$/, replacement: source('./src/adapters/inspector/index.ts') },
  { find: /^latchkey\/php$/, replacement: source('./src/php/index.ts') },
  { find: /^latchkey\/testing$/, replacement: source('./src/testing/index.ts') },
  // As Next.js has it, for its example.
  { find: /^@\//, replacement: source('./examples/next-route/') },
]

/** The tests whose text says something, as paths. */
export const testsThatSay = (what: RegExp): string[] =>
  readdirSync('test', { recursive: true, encoding: 'utf8' })
    .map((name) => `test/${name}`)
    .filter((name) => name.endsWith('.test.ts') && what.test(readFileSync(name, 'utf8')))

// Files in a process of their own. The others share one, and the modules it has loaded, which saves a third of the work: they
// leave nothing behind.
const APART = [
  // They weigh the memory of their process.
  ...['fuzz/codecs', 'session/records/compression', 'wire/memcached-memory'].map((name) => `test/${name}.test.ts`),
  // It loads our modules a second time.
  'test/two-copies.test.ts',
  // They put modules into the place of ours, or of Node's: others would find those, and they what others have loaded.
  ...testsThatSay(/\bvi\.(mock|doMock)\(/),
]

/** Programs that were built already: the bundles of the simulations, and the inspector's page. Vite would read each of them once more. */
export const BUILT = [/\/\.cache\/simulation-/, /\/page-files\.js$/]

const project = (name: string, include: string[], exclude: string[], isolate = true) => ({
  resolve: { alias },
  test: {
    name,
    include,
    exclude,
    isolate,
    restoreMocks: true,
    provide: { playsAllRows: false },
    unstubEnvs: true,
    server: { deps: { external: BUILT } },
    // Against what hangs, not against what is slow: beside other work everything takes several times as long.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 15_000 } },
  },
})

/**
 * Where vitest has not seen yet how long each file takes, as in a fresh clone, it begins with the largest. Those that play simulations
 * are small, and take longest: at the end one would run alone, while the other core has nothing left to do.
 */
class SimulationsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const rankOf = ({ project, moduleId }: TestSpecification): number => {
      // A process that files share goes on as long as the next one is for it, too.
      if (project.config.isolate) return 0
      return moduleId.includes('/test/simulation/') ? 1 : 2
    }
    return sorted.sort((one, other) => rankOf(one) - rankOf(other))
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: SimulationsFirst },
    globalSetup: 'test/support/programs.ts',
    // Vitest leaves one core free, which on two leaves one: a file waits for servers and processes for a third of its time.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    projects: [
      project('together', ['test/**/*.test.ts', 'examples/**/*.test.ts'], [...APART, 'test/long/**', 'node_modules/**'], false),
      project('apart', APART, []),
    ],
  },
})
