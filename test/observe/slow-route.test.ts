import { once } from 'node:events'
import { type AddressInfo } from 'node:net'
import express from 'express'
import { SessionManager, type SlowHoldEvent } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { VirtualClock } from 'latchkey/testing'
import { expect, it } from 'vitest'

it('a route that holds its session for too long is reported once, by method and path, while it holds it', async () => {
  const clock = new VirtualClock()
  const manager = new SessionManager({ slowHoldMs: 25, clock })
  const slow: SlowHoldEvent[] = []
  const app = express()
  app.use(latchkey({ manager, secret: 's', resave: false, saveUninitialized: true }))
  app.get('/quick', (_, res) => void res.send('quick'))
  app.get('/report', async (_, res) => {
    await clock.advance(50)
    res.send('slow')
  })
  manager.on('slow', (event) => slow.push(event))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${String(port)}`
  const cookie = (await fetch(`${url}/quick`)).headers.getSetCookie()[0]?.split(';')[0] ?? ''
  for (const path of ['/report?token=secret', '/quick', '/report']) {
    await (await fetch(url + path, { headers: { cookie } })).text()
  }
  expect(slow.map(({ label }) => label)).toEqual(['GET /report'])
  expect(slow[0]?.heldMs).toBeGreaterThanOrEqual(25)
  server.close()
  await manager.close()
})
