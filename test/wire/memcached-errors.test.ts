/** A server, or a proxy, that answers a command with an error: no session begins anew, and no write is believed undone. */
import { once } from 'node:events'
import express from 'express'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Browser } from '../adapters/express/browser.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { FaultProxy } from '../support/proxy.js'

type Protocol = 'text' | 'binary'

/** Which commands are answered with the error, though they are carried out. */
type Refused = 'reads' | 'stores' | 'nothing'

const GET = 0x00
const ADD = 0x02
const REPLACE = 0x03

/** The error in place of the replies to `refused`, in what a server sent. */
function withError(reply: Buffer, refused: Refused, protocol: Protocol): Buffer {
  if (refused === 'nothing') return reply
  if (protocol === 'text') {
    const lines = reply.toString('latin1')
    const read = /VA .*\r\n.*\r\n|EN.*\r\n/g
    const error = 'SERVER_ERROR backend failure\r\n'
    return Buffer.from(refused === 'reads' ? lines.replace(read, error) : lines.replace('STORED\r\n', error), 'latin1')
  }
  const opcodes = refused === 'reads' ? [GET] : [ADD, REPLACE]
  for (let at = 0; at + 24 <= reply.length; at += 24 + reply.readUInt32BE(at + 8)) {
    if (opcodes.includes(reply.readUInt8(at + 1)) && reply.readUInt16BE(at + 6) === 0) reply.writeUInt16BE(0x86, at + 6)
  }
  return reply
}

describe.each(['text', 'binary'] as const)('%s: an error in place of a reply', (protocol) => {
  let server: MemcachedServer
  let proxy: FaultProxy
  let manager: SessionManager
  let refused: Refused

  beforeEach(async () => {
    server = await MemcachedServer.start()
    proxy = await FaultProxy.start(server)
    refused = 'nothing'
    proxy.onReply = (reply) => withError(reply, refused, protocol)
    manager = new SessionManager({ savePath: `tcp://${proxy.host}:${String(proxy.port)}?protocol=${protocol}`, waitMs: 600_000 })
    await manager.run('visitor', (session) => {
      session.data['user'] = 'ada'
    })
  })

  afterEach(async () => {
    refused = 'nothing'
    await manager.close({ graceMs: 0 })
    await proxy[Symbol.asyncDispose]()
    await server.stop()
  })

  it('to a read is no empty session: nothing is entered, nothing changes, nobody waits', async () => {
    refused = 'reads'
    const calls = [
      () => manager.run('visitor', () => expect.unreachable('the session was entered')),
      () => manager.start('visitor', { strict: true }),
      () => manager.start('visitor', { readOnly: true }),
      () => manager.peek('visitor'),
      () => manager.holder('visitor'),
      () => manager.store().read('visitor'),
    ]
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_REFUSED', cause: { name: 'FlightError' } })
    }
    refused = 'nothing'
    expect(await manager.peek('visitor')).toEqual({ user: 'ada' })
    // What those attempts may have left of a lock is ours, and is taken over.
    await manager.run('visitor', (session) => expect(session.data).toEqual({ user: 'ada' }))
  })

  it('to a store that was carried out is no "nothing was stored": it is read, and found', async () => {
    const session = await manager.start('visitor')
    session.data['user'] = 'grace'
    refused = 'stores'
    await session.release()
    expect(await manager.peek('visitor')).toEqual({ user: 'grace' })
  })

  it('that comes again and again leaves the outcome unknown', async () => {
    const session = await manager.start('visitor')
    session.data['user'] = 'grace'
    proxy.onReply = (reply) => withError(withError(reply, 'reads', protocol), 'stores', protocol)
    await expect(session.release()).rejects.toMatchObject({ code: 'LATCHKEY_OUTCOME_UNKNOWN' })
  })

  it('to a read in Express is a 503 without a cookie, and the visitor stays logged in', async () => {
    const app = express()
    app.use(latchkey({ manager, secret: 'keyboard cat', resave: false, saveUninitialized: true }))
    app.get('/login', (req, res) => {
      Object.assign(req.session, { user: 'ada' })
      res.send('in')
    })
    app.get('/', (req, res) => res.json({ ...req.session, cookie: undefined }))
    app.use(((error: { status?: number; code?: string }, _req, res, _next) => {
      res.status(error.status ?? 500).send(error.code)
    }) satisfies express.ErrorRequestHandler)
    const listener = app.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const address = listener.address()
    const browser = new Browser(typeof address === 'object' && address !== null ? address.port : 0)
    await browser.get('/login')
    refused = 'reads'
    const answer = await browser.get('/')
    expect([answer.status, answer.setCookies, answer.body]).toEqual([503, [], 'LATCHKEY_SERVER_REFUSED'])
    refused = 'nothing'
    expect((await browser.get('/')).body).toBe('{"user":"ada"}')
    listener.closeAllConnections()
    listener.close()
  })
})
