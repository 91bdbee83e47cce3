import { setMaxListeners } from 'node:events'

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const

/** The end that comes from outside: everything that waits listens to the signal, and `exitCode` says what to exit with. */
export interface Interruption {
  readonly signal: AbortSignal
  /** Undefined as long as nobody interrupted. */
  exitCode(): number | undefined
}

/** Call it first of all, so that ctrl-C finds somebody at home. */
export function interruption(): Interruption {
  const controller = new AbortController()
  // Every request under way listens; that is no leak.
  setMaxListeners(0, controller.signal)
  let code: number | undefined
  const stop = (exitCode: number): void => {
    code ??= exitCode
    controller.abort()
  }
  for (const [name, exitCode] of Object.entries(SIGNALS)) process.on(name, () => stop(exitCode))
  // `npm run demo | head` closes our output; there is nobody left to tell.
  process.stdout.on('error', () => stop(1))
  return { signal: controller.signal, exitCode: () => code }
}
