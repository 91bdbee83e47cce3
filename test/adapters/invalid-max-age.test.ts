/**
 * A handler gives its session's cookie a lifetime of which no cookie can be made. express-session finds that out when the
 * head leaves, and runs the error handler while a 200 is on its way; the others throw when the session has been stored.
 */
import type { Request, Response } from 'express'
import { describe, expect, it } from 'vitest'
import { endSitesAfterEach as endExpressAfterEach, EXPRESSES, Site as ExpressSite, visit } from './express/site.js'
import { endSitesAfterEach as endFastifyAfterEach, type FastifyRequest, Site as FastifySite } from './fastify/site.js'
import { endSitesAfterEach as endKoaAfterEach, Site as KoaSite } from './koa/site.js'

endExpressAfterEach()
endFastifyAfterEach()
endKoaAfterEach()

const REFUSED = { status: 500, setCookies: [], body: expect.stringContaining('LATCHKEY_INVALID_OPTION') as string }
const WRONG = [NaN, Infinity, -Infinity, 1e20]

describe.each(EXPRESSES)('%s', (_name, framework) => {
  const ends: Readonly<Record<string, (req: Request, res: Response) => unknown>> = {
    'res.json()': (_req, res) => res.json({}),
    'a redirect': (_req, res) => res.redirect('/elsewhere'),
    'a stream': (_req, res) => [res.write('begun'), res.end()],
    'an event stream': (_req, res) => [res.type('text/event-stream').write('begun'), res.end()],
    'save()': (req, res) =>
      req.session.save((error) => {
        if (error === null || error === undefined) res.json({})
        else res.status(500).json(error)
      }),
    'release()': (req, res) => req.session.release().then(() => res.json({})),
  }
  const options = { framework, rolling: true, cookie: { maxAge: 60_000 } }

  it.each(Object.keys(ends).flatMap((end) => [true, false].map((isChanged) => [end, isChanged] as const)))('%s, the data changed: %s', async (end, isChanged) => {
    const site = await ExpressSite.start((app) => {
      app.get('/it/:at', (req, res, next) => {
        req.session.cookie.maxAge = WRONG[Number(req.params.at)]
        if (isChanged) visit(req).n = 1
        Promise.resolve(ends[end]?.(req, res)).catch(next)
      })
    }, options)
    const visitor = await site.visitor()
    for (const at of WRONG.keys()) {
      const { status, setCookies, body } = await visitor.get(`/it/${String(at)}`)
      // A handler that goes on writing cannot be followed by an error page.
      expect({ status, setCookies, body }).toEqual({ ...REFUSED, ...(end.includes('stream') ? { body: 'The session cannot be used.' } : {}) })
      expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
    }
    const told = end.includes('stream') ? site.failures : end === 'save()' ? [] : site.errors
    expect(told).toMatchObject(end === 'save()' ? [] : WRONG.map(() => ({ code: 'LATCHKEY_INVALID_OPTION' })))
    expect(site.errors).toHaveLength(end === 'save()' || end.includes('stream') ? 0 : WRONG.length)
    expect((await visitor.get('/show')).body).toBe('{"user":"ada"}')
  })

  it('of a new session, and an expiry that is no date', async () => {
    const site = await ExpressSite.start((app) => {
      app.get('/it', (req, res) => {
        visit(req).n = 1
        req.session.cookie.expires = new Date(NaN)
        res.json({})
      })
      app.get('/text', (req, res) => {
        Object.assign(req.session.cookie, { expires: 'tomorrow' })
        visit(req).n = 1
        res.json({})
      })
    }, options)
    expect(await site.browser().get('/it')).toMatchObject(REFUSED)
    expect(await site.browser().get('/text')).toMatchObject(REFUSED)
    expect(site.wire?.flights).toEqual([])
  })
})

describe('@fastify/session', () => {
  it.each([true, false])('the data changed: %s', async (isChanged) => {
    const wrong = [...WRONG, '60']
    const set = (request: FastifyRequest): void => {
      const { cookie } = request.getDecorator<{ cookie: object }>('session')
      Object.assign(cookie, { maxAge: wrong[Number(Object(request.params).at)] })
      if (isChanged) Object.assign(request.getDecorator<object>('session'), { n: 1 })
    }
    const site = await FastifySite.start('with @fastify/session', (app) => {
      app.get('/it/:at', async (request) => {
        set(request)
        return {}
      })
      app.get('/saved/:at', async (request) => {
        await request.getDecorator<{ save(): Promise<void> }>('session').save()
        set(request)
        return {}
      })
      app.get('/save/:at', async (request) => {
        set(request)
        await request.getDecorator<{ save(): Promise<void> }>('session').save()
        return {}
      })
    }, { rolling: false, cookie: { maxAge: 60_000 } })
    const visitor = await site.visitor()
    for (const at of wrong.keys()) {
      for (const path of ['it', 'saved', 'save']) {
        expect(await visitor.get(`/${path}/${String(at)}`), `${path} ${String(wrong[at])}`).toMatchObject(REFUSED)
        expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
      }
    }
  })
})

describe('Koa', () => {
  it.each([true, false])('the data changed: %s', async (isChanged) => {
    const wrong = [...WRONG, '60', null, {}]
    const site = await KoaSite.start({
      '/it': (ctx, session) => {
        Object.assign(session, { maxAge: wrong[Number(ctx.query['at'])] })
        if (isChanged) session.n = 1
        return {}
      },
      '/save': async (ctx, session) => {
        Object.assign(session, { maxAge: wrong[Number(ctx.query['at'])] })
        if (isChanged) session.n = 1
        await session.save()
        return {}
      },
    })
    const visitor = await site.visitor()
    for (const at of wrong.keys()) {
      for (const path of ['/it', '/save']) {
        site.errors.splice(0)
        expect(await visitor.get(`${path}?at=${String(at)}`), `${path} ${String(wrong[at])}`).toMatchObject({ status: 500, setCookies: [] })
        expect(site.errors).toMatchObject([{ code: 'LATCHKEY_INVALID_OPTION' }])
        expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
      }
    }
  })
})
