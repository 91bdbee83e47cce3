/**
 * The demonstration: `npm run demo`. One page, three requests at once, without the lock and with it.
 *
 * Exit code 0: the unlocked run lost something and the locked one nothing; 1: not so, or it could not run.
 */
import { InvalidSavePathError, LatchkeyError } from 'latchkey'
import { RefusedError } from './browser.js'
import { interruption } from './interruption.js'
import { type Options, parseArguments, USAGE, UsageError } from './options.js'
import { type Figures, perform } from './play.js'
import { drawAct, drawHeading, drawIntroduction, drawVerdict } from './report.js'
import { paintFor } from './paint.js'
import { showPage } from './page.js'
import { checkStore, embedded, type Store, StoreUnreachableError } from './store.js'

const ADVICE = 'Start one there, or unset MEMCACHE_SERVERS to keep the sessions in this process.'

async function main(): Promise<number> {
  // First of all, so that ctrl-C finds somebody at home from the first line on.
  const { signal, exitCode } = interruption()
  try {
    const options = parseArguments(process.argv.slice(2), process.env)
    if (options.help) {
      process.stdout.write(`${USAGE}\n`)
      return 0
    }
    await checkStore(options.store, signal, ADVICE)
    if (options.page) {
      await inStore(options.store, (store) => showPage(store, signal, options.opens, (line) => process.stdout.write(`${line}\n`)))
      return 0
    }
    const { unlocked, locked } = await inStore(options.store, (store) => show({ ...options, store }, signal))
    return unlocked.kept < unlocked.expected && locked.kept === locked.expected ? 0 : 1
  } catch (error) {
    const interrupted = exitCode()
    if (interrupted !== undefined) return interrupted
    return explain(error)
  }
}

/** On the servers that were named, or without any. */
async function inStore<T>(given: Store, work: (store: Store) => Promise<T>): Promise<T> {
  if (given.servers.length > 0) return work(given)
  await using store = await embedded(given)
  return await work(store)
}

async function show({ json, store }: Options, signal: AbortSignal): Promise<Figures> {
  const paint = paintFor(process.stdout, process.env)
  const print = (lines: readonly string[]): void => {
    if (!json) process.stdout.write(`${lines.join('\n')}\n`)
  }
  print(drawIntroduction(store.label, paint))
  const figures = await perform(store, signal, {
    actBegins: (locking) => print(drawHeading(locking, paint)),
    actEnds: (act) => print(drawAct(act, paint)),
  })
  print(drawVerdict(figures, paint))
  if (json) process.stdout.write(`${JSON.stringify(jsonOf(store.label, figures))}\n`)
  return figures
}

const jsonOf = (store: string, { unlocked, locked, bystander }: Figures): object => ({
  store,
  unlocked: { expected: unlocked.expected, kept: unlocked.kept },
  locked: { expected: locked.expected, kept: locked.kept },
  bystander: { p99Ms: round(bystander.p99Ms), p99AloneMs: round(bystander.p99AloneMs) },
})

const round = (ms: number): number => Math.round(ms * 100) / 100

/** One line for what the reader can do something about; a stack only for a bug. */
function explain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`demo: ${error.message}\n\n${USAGE}\n`)
    return 2
  }
  if (error instanceof InvalidSavePathError) {
    process.stderr.write(`demo: MEMCACHE_SERVERS cannot be read. ${error.message}\n`)
    return 2
  }
  const known = [LatchkeyError, RefusedError, StoreUnreachableError].some((kind) => error instanceof kind)
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error)
  process.stderr.write(`demo: ${text}\n`)
  return 1
}

process.exitCode = await main()
