/** SQLite's log beside the file of a store on disk: taken away, longer than the disk, or copied by no thread. */
import { execFileSync } from 'node:child_process'
import { renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SessionManager } from '../../src/index.js'
import { systemClock } from '../../src/system/clock.js'
import { FlightQueue } from '../../src/wire/file/flight-queue.js'
import { createFileWire } from '../../src/wire/file/file-wire.js'
import type { Reply } from '../../src/wire/wire.js'
import { DiskGround } from '../faults/disk-ground.js'
import { type Counted, SessionProcess } from '../support/session-process.js'
import { LOG, takeAway } from '../support/store-log.js'
import { undoneAfterEach } from '../support/undo.js'

const { undo, newDirectory } = undoneAfterEach()

async function processAt(directory: string): Promise<SessionProcess> {
  const process = await SessionProcess.start({ savePath: `file:${directory}`, waitMs: 20_000 })
  undo.push(() => process.kill())
  return process
}

describe('a log that is taken away while it is used', () => {
  it.each([[['-wal']], [['-shm']], [LOG]])('%j: processes go on with one log, and nothing acknowledged is lost', async (endings) => {
    const directory = newDirectory()
    const first = await processAt(directory)
    const count = { do: 'count', ids: ['sid'], holdMs: 1, times: 100, atOnce: 1 } as const
    const counts: Counted[] = []
    const counted = async (one: SessionProcess): Promise<void> => {
      const result = await one.call(count)
      counts.push(('value' in result ? result.value : { counts: {}, errors: { [result.code]: 1 } }) as Counted)
    }
    await counted(first)
    takeAway(directory, endings)
    const second = await processAt(directory)
    const both = Promise.all([counted(first), counted(second)])
    await counted(await processAt(directory))
    takeAway(directory, endings)
    await both
    await counted(second)
    expect(counts.map(({ counts: { sid } }) => sid)).toEqual([100, 100, 100, 100, 100])
    expect(await first.call({ do: 'read', id: 'sid' })).toMatchObject({ value: expect.stringContaining('500') as string })
  })

  it('a process without requests lets go of it, and who comes then finds all that was stored', async () => {
    const directory = newDirectory()
    const [idle, other] = [await processAt(directory), await processAt(directory)]
    await idle.call({ do: 'read', id: 'sid' })
    expect(await idle.call({ do: 'write', id: 'sid', data: 'stored' })).toHaveProperty('value')
    takeAway(directory, LOG)
    expect(await other.call({ do: 'read', id: 'sid' })).toEqual({ value: 'stored' })
  })

  it('a process that is killed after it has gone on leaves all that it acknowledged', async () => {
    const directory = newDirectory()
    const dying = await processAt(directory)
    await dying.call({ do: 'count', ids: ['sid'], holdMs: 0, times: 10, atOnce: 1 })
    takeAway(directory, LOG)
    // Longer than a process with requests goes without a look at its log.
    await new Promise((resolve) => setTimeout(resolve, 100))
    await dying.call({ do: 'count', ids: ['sid'], holdMs: 0, times: 10, atOnce: 1 })
    await dying.kill()
    const next = await processAt(directory)
    expect(await next.call({ do: 'read', id: 'sid' })).toMatchObject({ value: expect.stringContaining('20') as string })
  })
})

describe('a store that cannot be looked at', () => {
  it('is an error, for as long as it is so', async () => {
    const directory = join(newDirectory(), 'sessions')
    const manager = new SessionManager({ savePath: `file:${directory}` })
    undo.push(() => manager.close())
    const store = (): Promise<void> => manager.run('sid', ({ data }) => void (data['x'] = 1))
    await store()
    renameSync(directory, `${directory}-moved`)
    symlinkSync(directory, directory)
    await expect(store()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE' })
    unlinkSync(directory)
    renameSync(`${directory}-moved`, directory)
    await store()
  })

  it('whatever is thrown ends the flights of its turn, and not those that come later', async () => {
    let isBroken = true
    const run = (flights: readonly unknown[]): Reply[][] => {
      if (isBroken) throw new Error('broken')
      return flights.map(() => [])
    }
    const queue = new FlightQueue({ run, flightMs: 1000, nowMs: () => 0 })
    const told = (): Promise<unknown> => new Promise((landed, failed) => queue.push([], { landed, failed }))
    await expect(told()).rejects.toMatchObject({ name: 'FlightError', outcome: 'unknown', message: 'broken' })
    isBroken = false
    expect(await told()).toEqual([])
  })
})

it.runIf(DiskGround.canMount())('the log fills no disk: it is copied the sooner the smaller that is', async () => {
  const directory = newDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=700', 'tmpfs', directory])
  undo.push(() => void execFileSync('umount', ['-l', directory]))
  const wire = createFileWire({ settings: { directory, survives: 'process', maxMiB: undefined, gcSec: 0 }, clock: systemClock, flightMs: 2000 })
  undo.push(() => wire.close())
  const value = Buffer.alloc(20_000, 'x')
  const told = new Set<string | undefined>()
  for (let n = 0; n < 3000; n++) {
    const [reply] = await wire.flight('', [{ op: 'set', key: `k${String(n % 40)}`, value, ttlSec: 1000 }])
    told.add(reply?.status)
  }
  expect([...told]).toEqual(['ok'])
})
