/** What the command lines of examples have in common: `--json`, `--help`, ctrl-C, and one line for what went wrong. */
import { InvalidSavePathError, LatchkeyError } from 'latchkey'
import { interruption } from '../demo/interruption.js'
import { MemcachedMissingError } from './own-memcached.js'

export interface Example {
  /** As it begins the lines on standard error. */
  readonly name: string
  readonly usage: string
  /** Errors that the reader can do something about, but for latchkey's own. */
  readonly known: readonly (abstract new (...given: never[]) => Error)[]
  /** Whether all was as it should be. */
  play(isJson: boolean, signal: AbortSignal): Promise<boolean>
}

/** The exit code: 0 all was as it should be; 1 it was not, or could not run; 2 wrong arguments or settings; 130 after ctrl-C. */
export async function runExample(example: Example, args: readonly string[]): Promise<number> {
  const { name, usage } = example
  const { signal, exitCode } = interruption()
  const unknown = args.find((arg) => !['--json', '--help', '-h'].includes(arg))
  if (unknown !== undefined) {
    process.stderr.write(`${name}: unknown argument ${JSON.stringify(unknown)}\n\n${usage}\n`)
    return 2
  }
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  try {
    return (await example.play(args.includes('--json'), signal)) ? 0 : 1
  } catch (error) {
    return exitCode() ?? explain(example, error)
  }
}

/** One line for what the reader can do something about; a stack only for a bug. */
function explain({ name, known }: Example, error: unknown): number {
  const isKnown = [LatchkeyError, MemcachedMissingError, ...known].some((kind) => error instanceof kind)
  const text = error instanceof Error ? (isKnown ? error.message : (error.stack ?? error.message)) : String(error)
  const unreadable = error instanceof InvalidSavePathError
  process.stderr.write(`${name}: ${unreadable ? 'MEMCACHE_SERVERS cannot be read. ' : ''}${text}\n`)
  return unreadable ? 2 : 1
}
