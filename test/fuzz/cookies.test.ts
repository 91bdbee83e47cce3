/** What a browser may send for a cookie: the Express adapter answers, and takes no id that is none. */
import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import express from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { SeededRandom } from 'latchkey/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { garbage, mutate } from './mutate.js'
import { timesLonger } from './times.js'

const SECRET = 'fuzz'
const RUNS = 400 * timesLonger()

let server: Server
let manager: SessionManager
const failures: unknown[] = []

beforeAll(async () => {
  manager = new SessionManager({ savePath: 'memory:' })
  const app = express()
  app.use(latchkey({ manager, secret: SECRET, resave: false, saveUninitialized: true }))
  app.get('/', (req, res) => {
    res.set('x-session', Buffer.from(req.sessionID).toString('hex')).end()
  })
  const report: express.ErrorRequestHandler = (error: unknown, _req, res, _next) => {
    failures.push(error)
    res.status(500).end()
  }
  app.use(report)
  server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await manager.close()
})

/** Written by hand: a client library would refuse to send most of it. */
function get(cookie: Buffer): Promise<string> {
  const address = server.address()
  const socket = connect(address !== null && typeof address === 'object' ? address.port : 0, '127.0.0.1')
  const head = Buffer.from('GET / HTTP/1.1\r\nHost: fuzz\r\nConnection: close\r\nCookie: ')
  socket.write(Buffer.concat([head, cookie, Buffer.from('\r\n\r\n')]))
  return new Promise((resolve, reject) => {
    let answer = ''
    socket.setTimeout(5000, () => reject(new Error('no answer')))
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
    socket.on('error', reject).on('close', () => resolve(answer))
  })
}

const signed = (id: string): string => {
  const signature = createHmac('sha256', SECRET).update(id).digest('base64').replace(/=+$/, '')
  return `connect.sid=${encodeURIComponent(`s:${id}.${signature}`)}`
}

/** Rubbish, a good cookie with changed bytes, or a good signature under an id that no key can be made of. */
function cookieOf(random: SeededRandom): { bytes: Buffer; flawed: string | undefined } {
  const good = Buffer.from(signed('a-good-session-id'))
  const clean = (bytes: Buffer): Buffer => Buffer.from(bytes.toString('latin1').replace(/[\r\n\0]/g, ' '), 'latin1')
  switch (random.integer(3)) {
    case 0:
      return { bytes: clean(garbage(random, 100)), flawed: undefined }
    case 1:
      return { bytes: clean(mutate(good, random)), flawed: undefined }
    default: {
      const ids = ['x-lck', 'x-line', 'a b', 'é', '\u{1f511}', '\r\nset a 0 0 1', 'x'.repeat(260), '\0']
      const flawed = random.pick(ids)
      return { bytes: Buffer.from(signed(flawed)), flawed }
    }
  }
}

describe('the session cookie', () => {
  it('may be anything: the answer comes, and a flawed id is replaced by a new one', async () => {
    const seen = { answered: 0, replaced: 0 }
    for (let seed = 0; seed < RUNS; seed++) {
      const { bytes, flawed } = cookieOf(new SeededRandom(seed))
      const answer = await get(bytes)
      const [, status] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? []
      // 400 is what Node's own parser says of a header that is none.
      expect(['200', '400'], `seed ${String(seed)}`).toContain(status)
      if (status !== '200') continue
      seen.answered++
      const [, hex = ''] = /x-session: ([0-9a-f]+)/.exec(answer) ?? []
      const id = Buffer.from(hex, 'hex').toString()
      expect(manager.flawOf(id), `seed ${String(seed)}`).toBeUndefined()
      if (flawed !== undefined && id !== flawed) seen.replaced++
    }
    expect(failures).toEqual([])
    expect(seen.answered).toBeGreaterThan(RUNS / 2)
    expect(seen.replaced).toBeGreaterThan(RUNS / 5)
  }, 20_000 * timesLonger())
})
