/** Which functions of ours stand between the outside and the batch that a flight is written to a socket with. */
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'

export const SRC = fileURLToPath(new URL('../../src/', import.meta.url))

export interface Write {
  readonly text: string
  /** Of the request alone; those that write a batch serve all flights of a turn. */
  readonly functions: readonly string[]
}

/** It schedules the batch; the flight is handed over by who calls it. */
const SCHEDULES = /#schedule /

/** What is passed through on the way to a socket, and is no step of it. */
const ASIDE = /\/src\/(?:testing|observe)\//

function ownFunctions(): string[] {
  const { stack = '' } = new Error()
  return stack
    .split('\n')
    .filter((line) => line.includes(SRC) && !ASIDE.test(line) && !SCHEDULES.test(line))
    .map((line) => line.trim().replace(/^at (?:async )?/, '').replace(/:\d+\)?$/, ''))
}

/** From now on. */
export function watchSockets(): { readonly taken: Write[] } {
  Error.stackTraceLimit = 200
  const taken: Write[] = []
  let scheduledBy: readonly string[] = []
  const { setImmediate: later } = globalThis
  const watched = (run: (...args: unknown[]) => void, ...args: unknown[]): NodeJS.Immediate => {
    const functions = ownFunctions()
    return later(() => {
      scheduledBy = functions
      try {
        run(...args)
      } finally {
        scheduledBy = []
      }
    })
  }
  Object.defineProperty(globalThis, 'setImmediate', { value: watched, configurable: true, writable: true })
  const { write } = Socket.prototype
  Socket.prototype.write = function (this: Socket, ...args: unknown[]): boolean {
    const [data] = args
    if (typeof data === 'string') taken.push({ text: data, functions: scheduledBy })
    return Reflect.apply(write, this, args) as boolean
  }
  return { taken }
}
