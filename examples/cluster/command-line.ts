/** What the command lines of examples have in common: `--json`, `--help`, numbers, ctrl-C, and one line for what went wrong. */
import { parseArgs } from 'node:util'
import { InvalidSavePathError, LatchkeyError } from 'latchkey'
import { interruption } from '../demo/interruption.js'
import { MemcachedMissingError } from './own-memcached.js'

/** Whole numbers above 0, by the names of their arguments: `--seconds 60`. */
export type Numbers = Readonly<Record<string, number>>

export interface Example<N extends Numbers = Numbers> {
  /** As it begins the lines on standard error. */
  readonly name: string
  readonly usage: string
  /** Errors that the reader can do something about, but for latchkey's own. */
  readonly known: readonly (abstract new (...given: never[]) => Error)[]
  /** The numbers that it takes, as they are where they are not given. Default: none. */
  readonly numbers?: N
  /** Whether all was as it should be. */
  play(isJson: boolean, signal: AbortSignal, numbers: N): Promise<boolean>
}

/** The exit code: 0 all was as it should be; 1 it was not, or could not run; 2 wrong arguments or settings; 130 after ctrl-C. */
export async function runExample<N extends Numbers>(example: Example<N>, args: readonly string[]): Promise<number> {
  const { name, usage } = example
  const { signal, exitCode } = interruption()
  const given = argumentsOf(args, example.numbers ?? {})
  if (typeof given === 'string') {
    process.stderr.write(`${name}: ${given}\n\n${usage}\n`)
    return 2
  }
  if (given.isHelp) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  try {
    // Each number has the name and the type of its default.
    return (await example.play(given.isJson, signal, given.numbers as N)) ? 0 : 1
  } catch (error) {
    return exitCode() ?? explain(example, error)
  }
}

interface Arguments {
  readonly isJson: boolean
  readonly isHelp: boolean
  readonly numbers: Numbers
}

/** What was asked for; a text: what is wrong with it. */
function argumentsOf(args: readonly string[], defaults: Numbers): Arguments | string {
  const flags = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const
  const options = { ...flags, ...Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }])) }
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true })
  const numbers = new Map(Object.entries(defaults))
  const asked = new Set<string>()
  for (const token of tokens) {
    if (token.kind !== 'option' || !(token.name in options)) return `unknown argument ${JSON.stringify(args[token.index])}`
    if (!numbers.has(token.name)) asked.add(token.name)
    else if (/^[1-9]\d{0,8}$/.test(token.value ?? '')) numbers.set(token.name, Number(token.value))
    else return `--${token.name} takes a whole number above 0`
  }
  return { isJson: asked.has('json'), isHelp: asked.has('help'), numbers: Object.fromEntries(numbers) }
}

/** One line for what the reader can do something about; a stack only for a bug. */
function explain({ name, known }: Pick<Example, 'name' | 'known'>, error: unknown): number {
  const isKnown = [LatchkeyError, MemcachedMissingError, ...known].some((kind) => error instanceof kind)
  const text = error instanceof Error ? (isKnown ? error.message : (error.stack ?? error.message)) : String(error)
  const unreadable = error instanceof InvalidSavePathError
  process.stderr.write(`${name}: ${unreadable ? 'MEMCACHE_SERVERS cannot be read. ' : ''}${text}\n`)
  return unreadable ? 2 : 1
}
