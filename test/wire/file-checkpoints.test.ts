import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createFileWire } from '../../src/wire/file/file-wire.js'

// What the system does where a user, or a container, may have no thread more.
vi.mock('node:worker_threads', () => ({
  Worker: function Worker(): never {
    throw Object.assign(new Error('no thread more'), { code: 'EAGAIN' })
  },
}))

it('where no thread can be had the log is copied all the same, and no write that was done is told as failed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-log-'))
  const wire = createFileWire({ settings: { directory, survives: 'process', maxMiB: undefined, gcSec: 0 }, clock: systemClock, flightMs: 2000 })
  try {
    const value = Buffer.alloc(1_000_000, 'x')
    for (let n = 0; n < 80; n++) expect(await wire.flight('', [{ op: 'set', key: 'k', value, ttlSec: 1000 }])).toMatchObject([{ status: 'ok' }])
    expect(statSync(join(directory, 'sessions.db-wal')).size).toBeLessThan(64 * 1024 * 1024)
  } finally {
    await wire.close()
    rmSync(directory, { recursive: true })
  }
})
