import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/system/clock.js'
import { VirtualClock } from '../../src/testing/virtual-clock.js'
import { createFileWire } from '../../src/wire/file/file-wire.js'
import { itConforms, itConformsToo } from './conformance.js'

const SETTINGS = { survives: 'process', maxMiB: undefined, gcSec: 0 } as const

itConforms('file, on a virtual clock', async (options) => {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-file-'))
  const clock = new VirtualClock({ nowMs: 123_456 })
  const wire = createFileWire({
    settings: { ...SETTINGS, directory, maxMiB: options?.small === true ? 8 : undefined },
    clock,
    flightMs: 5000,
  })
  const close = async (): Promise<void> => {
    await wire.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { wire, advance: (ms) => clock.advance(ms), close }
})

for (const [name, isOfProcesses] of [['records', () => false], ['locks', () => true]] as const) {
  itConformsToo(`file, ${name}, on the clock of the machine`, async (options) => {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-file-'))
    const wire = createFileWire({
      settings: { ...SETTINGS, directory, maxMiB: options?.small === true ? 8 : undefined },
      clock: systemClock,
      flightMs: 5000,
      isOfProcesses,
    })
    const close = async (): Promise<void> => {
      await wire.close()
      rmSync(directory, { recursive: true, force: true })
    }
    return { wire, advance: (ms) => sleep(ms), close }
  })
}
