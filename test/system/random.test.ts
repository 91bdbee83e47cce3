import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { Keyring } from '../../src/session/records/keyring.js'
import { Seal } from '../../src/session/records/seal.js'
import { SystemRandom } from '../../src/system/random.js'

/** Processes that are resumed from one snapshot: what their memory holds they all have, the kernel's randomness not. */

const fromSameMemory = (pool: Buffer): Buffer => pool.fill(7)
const resume = (): SystemRandom => new SystemRandom(fromSameMemory)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('two processes of one memory', () => {
  it('draw different bytes, from the first on', () => {
    const drawn = [resume(), resume()].flatMap((random) => Array.from({ length: 1000 }, () => hex(random.bytes(16))))
    expect(new Set(drawn).size).toBe(2000)
  })

  it('make different session ids', () => {
    const ids = [resume(), resume()].map((random) => new SessionManager({ random }).createSid())
    expect(new Set(ids).size).toBe(2)
  })

  it('seal records with different IVs, also after they were warm', async () => {
    const keyring = Keyring.of({ keys: [{ id: 'k', secret: 'a secret that is long enough for anybody' }] })
    let isResumed = false
    let count = 0
    const kernel = (bytes: Buffer): boolean => Boolean(bytes.fill(isResumed ? ++count : 0))
    const seal = new Seal(keyring, new SystemRandom(fromSameMemory, kernel))
    for (let i = 0; i < 20; i++) seal.close('sid', [0, 0], Buffer.from('x'))
    // Time to prepare, had it wanted to.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    isResumed = true
    const ivs = Array.from({ length: 20 }, () => hex(seal.close('sid', [0, 0], Buffer.from('x')).subarray(4 + 16, 4 + 16 + 12)))
    expect(new Set(ivs).size).toBe(20)
  })
})

const node = async (...args: string[]): Promise<string> => (await promisify(execFile)(process.execPath, args)).stdout

it("two processes that are started from one of Node's own snapshots draw different bytes", async () => {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-snapshot-'))
  const [script, blob] = [join(directory, 'main.cjs'), join(directory, 'blob')]
  try {
    const contents = `
      import { startupSnapshot } from 'node:v8'
      import { systemRandom } from './random.js'
      const draw = () => Buffer.from(systemRandom.bytes(16)).toString('hex')
      const before = draw()
      startupSnapshot.setDeserializeMainFunction(() => console.log(before, draw()))`
    const resolveDir = fileURLToPath(new URL('../../src/system', import.meta.url))
    await build({ stdin: { contents, resolveDir }, bundle: true, platform: 'node', format: 'cjs', outfile: script })
    await node('--snapshot-blob', blob, '--build-snapshot', script)
    const drawn = await Promise.all([node('--snapshot-blob', blob, 'one'), node('--snapshot-blob', blob, 'other')])
    const [one = [], other = []] = drawn.map((line) => line.trim().split(' '))
    expect(one).toHaveLength(2)
    expect(other[0]).toBe(one[0])
    expect(other[1]).not.toBe(one[1])
  } finally {
    await rm(directory, { recursive: true })
  }
})

describe('the random source', () => {
  it('is as good as node:crypto where the kernel cannot be read', () => {
    let fills = 0
    const random = new SystemRandom((pool) => pool.fill(++fills), () => false)
    expect(hex(random.bytes(2))).toBe('0101')
    random.bytes(8190)
    expect(hex(random.bytes(2))).toBe('0202')
  })

  it('is as good as node:crypto where something else is read in the place of the kernel', () => {
    let fills = 0
    const random = new SystemRandom((pool) => pool.fill(++fills), (bytes) => bytes.fill(0).length > 0)
    expect(hex(random.bytes(2))).toBe('0101')
  })

  it('gives as many bytes as are asked for, of all values', () => {
    const random = new SystemRandom()
    expect(new Set(random.bytes(20_000)).size).toBe(256)
    expect(random.bytes(0)).toHaveLength(0)
  })
})
