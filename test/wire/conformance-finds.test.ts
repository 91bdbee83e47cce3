import { AssertionError } from 'node:assert'
import type { Command, Reply, Wire } from 'latchkey'
import { VirtualClock, wireConformance } from 'latchkey/testing'
import { expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { rowsOf } from '../support/matrix.js'

/** The suite finds what a wire does wrong: each of these breaks one rule, and is caught by a case that is about it. */

type Around = (inner: Wire, commands: readonly Command[], route: string) => Promise<Reply[]>

const missing: Reply = { status: 'missing', value: undefined, flags: 0, cas: undefined }

/** Each command for itself, changed on its way there or back. */
const each =
  (change: (command: Command) => Command, back: (reply: Reply, command: Command) => Reply = (reply) => reply): Around =>
    async (inner, commands, route) => {
      const replies = await inner.flight(route, commands.map(change))
      return replies.map((reply, at) => back(reply, commands[at] ?? { op: 'get', key: '' }))
    }

/** Stores whatever is there, and answers as if it had been right to. */
const forced =
  (op: 'add' | 'cas'): Around =>
    async (inner, commands, route) => {
      const replies: Reply[] = []
      for (const command of commands) {
        const [reply = missing] = await inner.flight(route, [command.op === op ? { ...command, op: 'set' } : command])
        const [read = missing] = reply.status === 'ok' && command.op === op ? await inner.flight(route, [{ op: 'get', key: command.key }]) : []
        replies.push({ ...reply, cas: reply.cas ?? read.cas })
      }
      return replies
    }

const BROKEN: readonly (readonly [what: string, caughtBy: RegExp, around: Around])[] = [
  ['a cas that looks at no version', /^commands: cas: a stale version/, forced('cas')],
  ['a cad that looks at no version', /^commands: compare-and-delete: a stale/, each((command) => (command.op === 'cad' ? { op: 'delete', key: command.key } : command))],
  ['an add that overwrites', /^commands: add: leaves an occupant/, forced('add')],
  ['a cas that creates', /^commands: cas: missing creates/, async (inner, commands, route) => {
    const replies: Reply[] = []
    for (const command of commands) {
      const [reply = missing] = await inner.flight(route, [command])
      const { op } = command
      replies.push(op === 'cas' && reply.status === 'missing' ? ((await inner.flight(route, [{ ...command, op: 'add' }]))[0] ?? reply) : reply)
    }
    return replies
  }],
  ['replies in the wrong order', /^flights: /, async (inner, commands, route) => (await inner.flight(route, commands)).reverse()],
  ['commands in the wrong order', /^(?:flights|concurrent flights): /, async (inner, commands, route) => (await inner.flight(route, [...commands].reverse())).reverse()],
  ['flags that are lost', /^values: flags/, each((command) => ('flags' in command ? { ...command, flags: 0 } : command))],
  ['text that was taken for UTF-8', /^values: text of Latin-1/, each((command) => ('value' in command && typeof command.value === 'string' ? { ...command, value: Buffer.from(command.value) } : command))],
  ['a touch that does nothing', /^time to live: touch and cas extend/, each((command) => (command.op === 'touch' ? { op: 'get', key: command.key } : command))],
  ['items that never expire', /^time to live: /, each((command) => ('ttlSec' in command ? { ...command, ttlSec: 1e6 } : command))],
  ['a refused write that takes the old record with it', /^(?:too large|out of memory): by cas/, async (inner, commands, route) => {
    const replies = await inner.flight(route, commands)
    for (const [at, { status }] of replies.entries()) {
      const key = commands[at]?.key ?? ''
      if (status === 'tooLarge' || status === 'outOfMemory') await inner.flight(route, [{ op: 'delete', key }])
    }
    return replies
  }],
]

async function failuresOf(around: Around): Promise<readonly (readonly [string, unknown])[]> {
  const suite = wireConformance((options) => {
    const clock = new VirtualClock()
    const inner = createMemoryWire({ clock, ...(options?.small === true ? { maxTotalBytes: 8 * 1024 * 1024 } : {}) })
    const wire: Wire = {
      flight: (route, commands) => around(inner, commands, route),
      maxValueBytes: (route, key) => inner.maxValueBytes(route, key),
      sweep: () => inner.sweep(),
      close: () => inner.close(),
    }
    return Promise.resolve({ wire, advance: (ms) => clock.advance(ms), close: () => wire.close() })
  })
  const failures: (readonly [string, unknown])[] = []
  for (const { name, run } of suite.cases) {
    try {
      await run()
    } catch (error) {
      failures.push([name, error])
    }
  }
  await suite.close()
  return failures
}

it('a wire that does nothing wrong passes, without a word of its store', async () => {
  expect(await failuresOf((inner, commands, route) => inner.flight(route, commands))).toEqual([])
})

it.each(rowsOf(BROKEN, 8))('%s', async (_what, caughtBy, around) => {
  const failures = await failuresOf(around)
  expect(failures.map(([name]) => name)).toContainEqual(expect.stringMatching(caughtBy))
  for (const [name, error] of failures) if (caughtBy.test(name)) expect(error).toBeInstanceOf(AssertionError)
})

it('the names of the cases differ', () => {
  const names = wireConformance(() => Promise.reject(new Error('is not asked'))).cases.map(({ name }) => name)
  expect(names.length).toBeGreaterThan(70)
  expect(new Set(names).size).toBe(names.length)
})
