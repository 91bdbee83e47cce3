import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import * as express from './express/site.js'
import * as fastify from './fastify/site.js'
import * as fetched from './fetch/site.js'
import * as koa from './koa/site.js'

/** What an application keeps for the whole of its life, and lends to sessions. */
const ada = { name: 'ada', visits: 0, tags: ['admin'], seen: new Date(0), cart: { items: [{ n: 1 }] } }
const constant = Object.freeze({ theme: { name: 'dark' } })

interface Holds {
  big?: unknown
}

/** One page that puts them into its session, and a second one that sees it as it was stored. */
type Ask = () => Promise<{ status: number }>

express.endSitesAfterEach()
fastify.endSitesAfterEach()
fetched.endSitesAfterEach()
koa.endSitesAfterEach()

const lend = (session: Holds): void => {
  session.big = { ada, constant }
}

const STACKS: Readonly<Record<string, () => Promise<Ask>>> = {
  'express, released': async () => {
    const site = await express.Site.start((app) => {
      app.get('/it', async (req, res) => {
        lend(express.visit(req))
        await req.session.release()
        ada.visits++
        res.send('ok')
      })
    })
    const browser = site.browser()
    return () => browser.get('/it')
  },
  ...Object.fromEntries(
    fastify.KINDS.map((kind) => [
      `fastify ${kind}`,
      async () => {
        const site = await fastify.Site.start(kind, (app) => {
          app.get('/it', async (request) => {
            lend(fastify.visit(request))
            await fastify.visit(request).release()
            ada.visits++
            return {}
          })
        })
        const browser = site.browser()
        return () => browser.get('/it')
      },
    ]),
  ),
  ...Object.fromEntries(
    fetched.KINDS.map((kind) => [
      `fetch, ${kind}`,
      async () => {
        const site = await fetched.Site.start(kind, {
          '/it': (_request, session) => {
            lend(session.data)
            return new Response('ok')
          },
        })
        const browser = site.browser()
        return () => browser.get('/it')
      },
    ]),
  ),
  koa: async () => {
    const site = await koa.Site.start({
      '/it': async (_ctx, session) => {
        lend(session)
        await session.release()
        ada.visits++
        return {}
      },
    })
    const browser = site.browser()
    return () => browser.get('/it')
  },
  'without a framework': async () => {
    const manager = new SessionManager()
    return async () => {
      await manager.run<Holds>('it', async (session) => {
        lend(session.data)
        await session.release()
        expect(() => Object.assign(session.data, { big: 1 })).toThrow('released')
      })
      return { status: 200 }
    }
  },
}

describe("the application's objects stay its own when a session has held them", () => {
  it.each(Object.entries(STACKS))('%s', async (_, start) => {
    const ask = await start()
    expect((await ask()).status).toBe(200)
    expect((await ask()).status).toBe(200)
    const { visits } = ada
    ada.visits++
    ada.tags.push('later')
    ada.seen.setTime(1)
    ada.cart.items.push({ n: 2 })
    for (const item of ada.cart.items) item.n = 3
    constant.theme.name = 'light'
    expect(ada.visits).toBe(visits + 1)
    expect((await ask()).status).toBe(200)
  })
})
