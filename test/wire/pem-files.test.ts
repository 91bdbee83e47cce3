/** A PEM file that cannot be read, now or ever: on a mount that hangs, for example. A FIFO that nobody writes to is like that. */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { OperatorConnection } from '../../src/wire/memcached/operator/operator-connection.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import type { Wire } from '../../src/wire/wire.js'
import { failureOf } from '../support/flight-failure.js'
import { serverOf } from '../support/servers.js'

const FLIGHT_MS = 200
/** What a machine that is busy may take besides. */
const BUSY_MS = 10_000
/** Node's threads that read files (UV_THREADPOOL_SIZE), and one more. */
const MORE_THAN_THREADS = 5

let directory = ''
let fifo = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'latchkey-pem-'))
  fifo = join(directory, 'ca.pem')
  execFileSync('mkfifo', [fifo])
})
afterEach(async () => {
  // Whoever reads meets the end of it: a read that goes on would keep this process.
  while (endFor(fifo)) await new Promise((resolve) => setImmediate(resolve))
  rmSync(directory, { recursive: true, force: true })
})

/** Whether anybody reads it. */
function endFor(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK))
    return true
  } catch {
    return false
  }
}

/** Nobody listens there; no attempt comes so far. */
const PATHS = [
  'tls://127.0.0.1:1?protocol=text&',
  'tls://127.0.0.1:1?protocol=binary&',
  'tls://127.0.0.1:1?via=proxy&',
  'rediss://127.0.0.1:1?',
  'rediss+cluster://127.0.0.1:1?',
  'rediss+sentinel://127.0.0.1:1/main?',
]

const wireTo = (path: string): Wire => readSavePath(`${path}ca=${fifo}`).open({ clock: systemClock, flightMs: FLIGHT_MS, connections: 1 })

describe('a PEM file that does not answer', () => {
  it.each(PATHS)('a flight fails in its time and says why, and the wire closes: %s', { timeout: BUSY_MS }, async (path) => {
    const wire = wireTo(path)
    expect(await failureOf(wire)).toMatchObject({ outcome: 'not-sent', message: expect.stringMatching(/PEM files could not be read yet|No node of the cluster/) as string })
    await wire.close()
  })
})

it('however many read it, they leave threads to others', { timeout: BUSY_MS }, async () => {
  const wires = Array.from({ length: MORE_THAN_THREADS }, () => wireTo('rediss://127.0.0.1:1?'))
  await Promise.all(wires.map((wire) => failureOf(wire)))
  expect(await readFile(import.meta.filename, 'utf8')).toContain('they leave threads')
  await Promise.all(wires.map((wire) => wire.close()))
})

describe("an operator's question where a PEM file does not answer", () => {
  const options = (silenceMs: number) => ({ server: serverOf(`tls://127.0.0.1:1?ca=${fifo}`), clock: systemClock, silenceMs })

  it('fails in its time', { timeout: BUSY_MS }, async () => {
    await expect(OperatorConnection.open(options(50))).rejects.toMatchObject({ outcome: 'not-sent', message: expect.stringContaining('PEM') as string })
  })

  it('ends when it is given up', { timeout: BUSY_MS }, async () => {
    const ending = new AbortController()
    const opened = OperatorConnection.open({ ...options(600_000), signal: ending.signal })
    ending.abort(new Error('enough'))
    await expect(opened).rejects.toThrow('enough')
  })
})
