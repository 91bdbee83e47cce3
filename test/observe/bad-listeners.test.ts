import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { builtCode } from '../support/programs.js'

// In a process of its own, because Node makes an uncaught exception of what a listener throws.
const PROGRAM = `
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel } from 'node:diagnostics_channel'
import { SessionManager } from './src/index.ts'
let uncaught = 0
process.on('uncaughtException', () => uncaught++)
const fail = () => { throw new Error('a bad listener') }
for (const name of ['acquire', 'wait', 'hand-off', 'commit', 'release', 'flight']) {
  subscribe('latchkey:' + name, fail)
  const traced = tracingChannel('latchkey:' + name)
  traced.subscribe({ start: fail, end: fail, asyncStart: fail, asyncEnd: fail, error: fail })
  traced.start.bindStore(new AsyncLocalStorage(), fail)
}
const manager = new SessionManager()
await Promise.all(Array.from({ length: 5 }, () => manager.run('id', (session) => { session.data.n = (session.data.n ?? 0) + 1 })))
const { n } = await manager.peek('id')
await manager.close()
setImmediate(() => console.log(n, manager.stats().held, uncaught > 0))
`

const EVENTS = `
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionManager } from './src/index.ts'
let uncaught = 0
process.on('uncaughtException', () => uncaught++)
const start = (id, maxHoldMs) => {
  const manager = new SessionManager({ slowHoldMs: 10, maxHoldMs })
  manager.on('slow', () => { throw new Error('a bad listener') })
  manager.on('lost', () => { throw new Error('a bad listener') })
  return [manager, manager.start(id, { label: id })]
}
const [keeper, keeping] = start('kept', 60_000)
const [loser, losing] = start('lost', 100)
const [kept, lost] = [await keeping, await losing]
while (uncaught < 3) await sleep(5)
kept.data.n = 1
await kept.release()
console.log(lost.signal.aborted, uncaught, keeper.stats().held, loser.stats().held, (await keeper.peek('kept')).n)
await Promise.all([keeper.close(), loser.close()])
`

it('a listener of slow or lost that throws harms no lock either', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [await builtCode(EVENTS)])
  expect(stdout.trim()).toBe('true 3 0 0 1')
})

it('a listener that throws harms no request: Node makes an uncaught exception of it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [await builtCode(PROGRAM)])
  expect(stdout.trim()).toBe('5 0 true')
})
