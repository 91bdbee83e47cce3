import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createFileWire } from '../../src/wire/file/file-wire.js'

// What the two copies of a process have in common that is resumed twice from one snapshot: all that is in its memory.
vi.mock('node:crypto', async (original) => {
  const crypto = await original<typeof import('node:crypto')>()
  return { ...crypto, randomBytes: (count: number) => Buffer.alloc(count, 7), randomFillSync: (bytes: Buffer) => bytes.fill(7) }
})

it('two copies of one process give no version twice: what one has stored the other does not overwrite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-versions-'))
  const settings = { directory, survives: 'process', maxMiB: undefined, gcSec: 0 } as const
  const [one, other] = [0, 1].map(() => createFileWire({ settings, clock: systemClock, flightMs: 2000 }))
  try {
    await one?.flight('', [{ op: 'add', key: 'k', value: 'first', ttlSec: 100 }])
    const [read] = (await one?.flight('', [{ op: 'get', key: 'k' }])) ?? []
    if (read?.cas === undefined) throw new Error('it was not stored')
    expect(await other?.flight('', [{ op: 'cas', key: 'k', cas: read.cas, value: 'second', ttlSec: 100 }])).toMatchObject([{ status: 'ok' }])
    expect(await one?.flight('', [{ op: 'cas', key: 'k', cas: read.cas, value: 'stale', ttlSec: 100 }])).toMatchObject([{ status: 'exists' }])
  } finally {
    await Promise.all([one?.close(), other?.close()])
    rmSync(directory, { recursive: true })
  }
})
