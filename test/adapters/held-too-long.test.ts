/** A request that holds its session for too long: what its visitor is told, and what its developer. */
import { once } from 'node:events'
import type { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import * as expressSite from './express/site.js'
import * as fastifySite from './fastify/site.js'
import * as fetchSite from './fetch/site.js'
import * as koaSite from './koa/site.js'

expressSite.endSitesAfterEach()
fastifySite.endSitesAfterEach()
fetchSite.endSitesAfterEach()
koaSite.endSitesAfterEach()

interface Told {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly message: string
}

const managerOptions = { maxHoldMs: 100 }
const taken = (manager: SessionManager): Promise<unknown> => once(manager, 'lost')

/** By adapter: how a visitor asks, and what the error handler was given. */
const ADAPTERS: Readonly<Record<string, () => Promise<{ told: Told; errors: unknown[] }>>> = {
  express: async () => {
    const errors: unknown[] = []
    const site = await expressSite.Site.start(
      (app) => {
        app.get('/it', (req, res, next) => {
          expressSite.visit(req).n = 1
          taken(site.manager).then(() => res.json({}), next)
        })
      },
      {
        managerOptions,
        onError: (error: { status: number; headers: Record<string, string>; message: string }, _req, res, _next) => {
          errors.push(error)
          res.status(error.status).set(error.headers).send(error.message)
        },
      },
    )
    const { status, headers, body } = await (await site.visitor()).get('/it')
    return { told: { status, retryAfter: headers['retry-after'], message: body }, errors }
  },
  koa: async () => {
    const site = await koaSite.Site.start(
      {
        '/it': async (ctx, session) => {
          session.n = 1
          await taken(site.manager)
          ctx.body = {}
        },
      },
      { managerOptions },
    )
    const { status, headers } = await (await site.visitor()).get('/it')
    const [error] = site.errors
    return {
      told: { status, retryAfter: headers['retry-after'], message: error instanceof Error ? error.message : '' },
      errors: site.errors,
    }
  },
  ...Object.fromEntries(
    fastifySite.KINDS.map((kind) => [
      `fastify ${kind}`,
      async () => {
        const errors: unknown[] = []
        const site = await fastifySite.Site.start(
          kind,
          (app) => {
            app.addHook('onError', async (_request, _reply, error) => void errors.push(error))
            app.get('/it', async (request) => {
              fastifySite.visit(request).n = 1
              await taken(site.manager)
              return {}
            })
          },
          { managerOptions },
        )
        const { status, headers, body } = await (await site.visitor()).get('/it')
        const { message } = JSON.parse(body) as { message: string }
        return { told: { status, retryAfter: headers['retry-after'], message }, errors }
      },
    ]),
  ),
  ...Object.fromEntries(
    fetchSite.KINDS.map((kind) => [
      `fetch ${kind}`,
      async () => {
        const errors: unknown[] = []
        const site = await fetchSite.Site.start(
          kind,
          {
            '/it': async (_request, session) => {
              session.data.n = 1
              await taken(site.manager)
              return new Response('{}')
            },
          },
          { managerOptions, onRefused: (error) => void errors.push(error) },
        )
        const { status, headers, body } = await (await site.visitor()).get('/it')
        return { told: { status, retryAfter: headers['retry-after'], message: body.trim() }, errors }
      },
    ]),
  ),
}

describe.each(Object.entries(ADAPTERS))('%s: held for longer than maxHoldMs', (_name, ask) => {
  it('tells the visitor that it took too long, and nobody that another request was first', async () => {
    const { told, errors } = await ask()
    expect(told).toEqual({
      status: 503,
      retryAfter: '1',
      message: 'The request held its session for too long, and what it changed there was not stored.',
    })
    expect(errors).toMatchObject([
      { code: 'LATCHKEY_HELD_TOO_LONG', cause: { message: expect.stringContaining('maxHoldMs (100)') as string } },
    ])
  })
})
