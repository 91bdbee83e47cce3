import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import express from 'express'
import type { SessionManager } from 'latchkey'
import { VirtualClock } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { isBodyDue, onBodyArrived } from '../../src/adapters/http/body-arrival.js'
import type { Browser } from './express/browser.js'
import * as expressSite from './express/site.js'
import * as fastifySite from './fastify/site.js'
import * as fetchSite from './fetch/site.js'
import * as koaSite from './koa/site.js'
import { endStalledAfterEach, stalledUpload } from './slow-request.js'

/** Uploads that arrive slowly: whoever else has the session must not wait for them. */

expressSite.endSitesAfterEach()
fastifySite.endSitesAfterEach()
fetchSite.endSitesAfterEach()
koaSite.endSitesAfterEach()
endStalledAfterEach()

const { portOf, until } = expressSite

interface Place {
  readonly server: Server
  readonly manager: SessionManager
  readonly visitor: Browser
  stored(sid: string): Promise<object | undefined>
}

/** Who finds the session held is refused, and does not wait. */
const managerOptions = { waitMs: 0 }

/** Each with a route /upload that keeps the length of its body in the session, and /show. */
const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  express: async () => {
    const site = await expressSite.Site.start(
      (app) => {
        app.post('/upload', express.text({ limit: '10mb' }), (req, res) => {
          const { length } = String(req.body)
          expressSite.visit(req).n = length
          res.json({ length })
        })
      },
      { managerOptions },
    )
    return placeOf(site, site.server, await site.visitor())
  },
  koa: async () => {
    const site = await koaSite.Site.start(
      {
        '/upload': async (ctx, session) => {
          const length = await lengthOf(ctx.req)
          session.n = length
          return { length }
        },
      },
      { managerOptions },
    )
    return placeOf(site, site.server, await site.visitor())
  },
  ...Object.fromEntries(
    fastifySite.KINDS.map((kind) => [
      `fastify ${kind}`,
      async () => {
        const site = await fastifySite.Site.start(
          kind,
          (app) => {
            app.post('/upload', { bodyLimit: 10_000_000 }, async (request) => {
              const { length } = String(request.body)
              fastifySite.visit(request).n = length
              return { length }
            })
          },
          { managerOptions },
        )
        return placeOf(site, site.app.server, await site.visitor())
      },
    ]),
  ),
  ...Object.fromEntries(
    fetchSite.KINDS.map((kind) => [
      `fetch ${kind}`,
      async () => {
        const site = await fetchSite.Site.start(
          kind,
          {
            '/upload': async (request, session) => {
              const { length } = await request.text()
              session.data.n = length
              return Response.json({ length })
            },
          },
          { managerOptions },
        )
        return placeOf(site, site.server, await site.visitor())
      },
    ]),
  ),
}

const placeOf = (site: { manager: SessionManager; stored: Place['stored'] }, server: Server, visitor: Browser): Place => ({
  server,
  visitor,
  manager: site.manager,
  stored: (sid) => site.stored(sid),
})

async function lengthOf(incoming: IncomingMessage): Promise<number> {
  let length = 0
  for await (const chunk of incoming) length += (chunk as Buffer).length
  return length
}

describe.each(Object.entries(PLACES))('a slow upload, %s', (_name, start) => {
  it('a small one: no lock is asked for before it has arrived', async () => {
    const { server, manager, visitor, stored } = await start()
    const { finish } = await stalledUpload(server, visitor, { body: Buffer.from('whole') })
    for (let turn = 0; turn < 3; turn++) expect((await visitor.twin().get('/show')).status).toBe(200)
    expect(manager.stats().held).toBe(0)
    expect(await finish()).toContain('{"length":5}')
    expect(await stored(visitor.sid)).toMatchObject({ user: 'ada', n: 5 })
  })

  it('one that is larger than what Node keeps: locked when that is full', async () => {
    const { server, manager, visitor, stored } = await start()
    const { finish } = await stalledUpload(server, visitor, { body: Buffer.alloc(400_000, 'x') })
    await until(() => manager.stats().held === 1)
    expect(await finish()).toContain('{"length":400000}')
    expect(await stored(visitor.sid)).toMatchObject({ user: 'ada', n: 400_000 })
  })

  it('whose client goes in the middle: nothing is changed, and nothing left', async () => {
    const { server, manager, visitor, stored } = await start()
    const { leave, incoming } = await stalledUpload(server, visitor, { body: Buffer.from('whole') })
    const closed = new Promise<void>((resolve) => void incoming.once('close', resolve))
    leave()
    await closed
    // What its handler does with half a body is its own.
    await until(async () => manager.stats().held === 0 && (await visitor.twin().get('/show')).status === 200)
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    expect(await stored(visitor.sid)).not.toHaveProperty('n')
  })
})

describe('how long a body is waited for', () => {
  /** A server that reads no body, and what has come in of one there. */
  async function stalled(body: string): Promise<{ incoming: IncomingMessage; end: () => void }> {
    const server = createServer(() => undefined)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { incoming } = await stalledUpload(server, { port: portOf(server) }, { body: Buffer.from(body) })
    return {
      incoming,
      end: () => {
        server.close()
        server.closeAllConnections()
      },
    }
  }

  it('10 seconds, after which its session is locked while it arrives; nothing of it is lost', async () => {
    const { incoming, end } = await stalled('whole')
    const clock = new VirtualClock()
    let isOver = false
    expect(isBodyDue(incoming)).toBe(true)
    onBodyArrived(incoming, () => (isOver = true), clock)
    await clock.advance(9999)
    await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).toBe(false)
    await clock.advance(1)
    await until(() => isOver)
    expect(String(incoming.read())).toBe('wh')
    expect(clock.pendingTimers).toBe(0)
    end()
  })

  it('not at all where somebody reads it already', async () => {
    const { incoming, end } = await stalled('whole')
    incoming.resume()
    expect(isBodyDue(incoming)).toBe(false)
    end()
  })
})
