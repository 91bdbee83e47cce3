import type { ErrorRequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { barrier, endSitesAfterEach, Site, visit } from './site.js'

endSitesAfterEach()

const bad = (value: unknown): { genid: () => string } => ({ genid: () => value as string })

describe('genid that makes no id, express', () => {
  it.each([['a promise', Promise.resolve('x')], ['undefined', undefined], ['number', 7]])('%s: an error that says so', async (what, value) => {
    const site = await Site.start((app) => void app.get('/it', (req, res) => void res.json({ id: visit(req).id })), bad(value))
    const { status, setCookies, body } = await site.browser().get('/it')
    expect([status, setCookies]).toEqual([500, []])
    expect(body).toContain('LATCHKEY_MISUSE')
    expect(what).toBeTruthy()
  })

  it('in regenerate(): its callback is told, and the old session goes on', async () => {
    let made = 0
    const site = await Site.start(
      (app) => {
        app.get('/login', (req, res) => {
          req.session.regenerate((error: { code?: string } | null) => void res.json({ error: error?.code }))
        })
      },
      { genid: () => (made++ === 0 ? 'first' : (Promise.reject(new Error('late')) as never)) },
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    expect(await visitor.get('/login')).toMatchObject({ body: '{"error":"LATCHKEY_MISUSE"}', setCookies: [] })
    expect(sid).toBe('first')
  })
})

describe('a refused session behind an error page of the application, express', () => {
  it('carries Retry-After', async () => {
    const page: ErrorRequestHandler = (_error, _req, res, _next) => void res.status(503).send('come back')
    const [entered, mayLeave] = [barrier(), barrier()]
    const site = await Site.start(
      (app) => {
        app.get('/slow', (req, res) => {
          entered.open()
          void mayLeave.passed.then(() => res.json(visit(req)))
        })
        app.use(page)
      },
      { managerOptions: { waitMs: 0 } },
    )
    const visitor = await site.visitor()
    const twin = visitor.twin()
    const slow = visitor.get('/slow')
    await entered.passed
    const busy = await twin.get('/slow')
    mayLeave.open()
    await slow
    twin.close()
    expect([busy.status, busy.headers['retry-after']]).toEqual([503, '1'])
  })
})
