import type { Server } from 'node:http'
import { Readable } from 'node:stream'
import type { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import type { Browser } from './express/browser.js'
import * as expressSite from './express/site.js'
import * as fastifySite from './fastify/site.js'
import * as fetchSite from './fetch/site.js'
import * as koaSite from './koa/site.js'
import { endStalledAfterEach, stalledDownload } from './slow-request.js'

/** A client that stalls in the middle of what it downloads: a session that the request left as it was is nobody's then. */

expressSite.endSitesAfterEach()
fastifySite.endSitesAfterEach()
fetchSite.endSitesAfterEach()
koaSite.endSitesAfterEach()
endStalledAfterEach()

interface Place {
  readonly server: Server
  readonly manager: SessionManager
  readonly visitor: Browser
}

/** Who finds the session held is refused, and does not wait. */
const managerOptions = { waitMs: 0 }

const CHUNK = Buffer.alloc(65_536, 'x')
/** Far more than the two ends of a connection keep for whoever does not read: 64 MB, made as they are asked for. */
const CHUNKS = 1024
const film = (): Readable => Readable.from(Array.from({ length: CHUNKS }, () => CHUNK))

/** Each with a route /film that looks at the session and streams, and /show. */
const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  ...Object.fromEntries(
    expressSite.EXPRESSES.map(([name, framework]) => [
      name,
      async () => {
        const site = await expressSite.Site.start(
          (app) => {
            app.get('/film', (req, res) => {
              if (expressSite.visit(req).user === 'ada') film().pipe(res)
            })
          },
          { framework, managerOptions },
        )
        return { server: site.server, manager: site.manager, visitor: await site.visitor() }
      },
    ]),
  ),
  Koa: async () => {
    const site = await koaSite.Site.start({ '/film': (_ctx, session) => (session.user === 'ada' ? film() : undefined) }, { managerOptions })
    return { server: site.server, manager: site.manager, visitor: await site.visitor() }
  },
  ...Object.fromEntries(
    fastifySite.KINDS.map((kind) => [
      `Fastify ${kind}`,
      async () => {
        const site = await fastifySite.Site.start(
          kind,
          (app) => {
            app.get('/film', async (request) => (fastifySite.visit(request).user === 'ada' ? film() : undefined))
          },
          { managerOptions },
        )
        return { server: site.app.server, manager: site.manager, visitor: await site.visitor() }
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
            '/film': (_request, { data }) =>
              new Response(data.user === 'ada' ? (Readable.toWeb(film()) as ReadableStream<Uint8Array>) : null),
          },
          { managerOptions },
        )
        return { server: site.server, manager: site.manager, visitor: await site.visitor() }
      },
    ]),
  ),
}

describe.each(Object.entries(PLACES))('a download that stalls, %s', (_name, start) => {
  it('holds no session that it left as it was, and is whole in the end', async () => {
    const { server, manager, visitor } = await start()
    const { response, finish } = await stalledDownload(server, visitor, '/film')
    for (let turn = 0; turn < 3; turn++) expect((await visitor.twin().get('/show')).status).toBe(200)
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
    expect(response.writableFinished).toBe(false)
    expect(await finish()).toBeGreaterThan(CHUNKS * CHUNK.length)
  })
})
