import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { InvalidSavePathError } from '../../src/errors.js'
import { MemcachedAddress } from '../../src/wire/memcached/memcached-scheme.js'
import { describeServer } from '../../src/wire/memcached/save-path.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { mutate } from './mutate.js'
import { timesLonger } from './times.js'

const GOOD = [
  'tcp://10.0.0.1:11211,tcp://10.0.0.2:11211?weight=2',
  'tls://user:p%40ss@cache.example:11212?ca=/a.pem&cert=/b.pem&key=/c.pem&servername=x&verify=off',
  'unix:///run/memcached%2C1.sock?protocol=binary',
  'tcp://[2001:db8::7]:11213?protocol=text,localhost',
  'memory:tests',
]
const RUNS = 5000 * timesLonger()

describe('a save path that is nearly right', () => {
  it('is read or refused, by the one error, which repeats no credentials', () => {
    const seen = { read: 0, refused: 0 }
    for (let seed = 0; seed < RUNS; seed++) {
      const random = new SeededRandom(seed)
      const text = mutate(Buffer.from(random.pick(GOOD)), random).toString(seed % 2 === 0 ? 'utf8' : 'latin1')
      try {
        const path = readSavePath(text)
        seen.read++
        if (!(path instanceof MemcachedAddress)) continue
        for (const server of path.servers) {
          const { endpoint, credentials } = server
          if (endpoint.kind === 'tcp') expect(endpoint.port).toSatisfy((port: number) => port >= 1 && port <= 65535)
          if (credentials !== undefined) expect(describeServer(server)).not.toContain(`${credentials.username}:`)
        }
      } catch (error) {
        seen.refused++
        if (!(error instanceof InvalidSavePathError)) throw new Error(`seed ${String(seed)}: ${text}`, { cause: error })
        // Without its '@' nothing tells a password from a host or a port.
        if (text.includes('@')) expect(error.message).not.toMatch(/p%40ss|p@ss/)
      }
    }
    expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(RUNS / 10)
  })
})
