import { connect } from 'node:net'
import { once } from 'node:events'
import type { Express, Request, RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import type { Browser } from './browser.js'
import { barrier, endSitesAfterEach, EXPRESSES, Site, until, visit } from './site.js'
import { storesRecord } from './tap-wire.js'

/**
 * What an application does with its session when the response has left: socket.io keeps the one of its handshake, a
 * handler answers and works on. No lock is held any more, so nothing of others may be overwritten, or brought back.
 */

endSitesAfterEach()

type Told = { readonly code?: string; readonly message?: string } | null | undefined

const save = (req: Request): Promise<Told> => new Promise((resolve) => void req.session.save(resolve))
const reload = (req: Request): Promise<Told> => new Promise((resolve) => void req.session.reload(resolve))
const codeOf = (told: Told): string => (told === null || told === undefined ? 'ok' : (told.code ?? told.message ?? ''))

/** What the handler does before it answers. */
const ANSWERS: readonly (readonly [string, RequestHandler])[] = [
  ['that changed nothing', (_req, res) => void res.json({})],
  ['that changed the session', (req, res) => ((visit(req).n = 1), void res.json({}))],
  ['that stored it by itself', (req, res) => ((visit(req).n = 1), void req.session.save(() => res.json({})))],
  ['that was a stream', (_req, res) => (res.write('a '), void setImmediate(() => res.end('stream')))],
  ['that was a stream of a changed session', (req, res) => ((visit(req).n = 1), res.write('a '), void setImmediate(() => res.end('stream')))],
]

/** What happens to the session after the answer, by requests of others. */
const OTHERS: readonly (readonly [string, string | undefined])[] = [
  ['nobody came', undefined],
  ['another request prolonged it', '/show'],
  ['another request changed it', '/set/theme/dark'],
  ['the visitor logged out', '/logout'],
  ['it goes on under another id', '/renew'],
]

interface Outcome {
  readonly saved: string
  readonly reloaded: string
  readonly savedThen: string
  /** What is stored after both, in short. */
  readonly stored: object | undefined
}

const FREE = { saved: 'ok', reloaded: 'ok', savedThen: 'ok' }
const OUTCOMES: Readonly<Record<string, Omit<Outcome, 'stored'>>> = {
  'nobody came': FREE,
  'another request prolonged it': FREE,
  'another request changed it': { saved: 'LATCHKEY_FENCED', reloaded: 'ok', savedThen: 'ok' },
  'the visitor logged out': { saved: 'LATCHKEY_SESSION_GONE', reloaded: 'failed to load session', savedThen: 'LATCHKEY_SESSION_GONE' },
  'it goes on under another id': { saved: 'LATCHKEY_SESSION_GONE', reloaded: 'failed to load session', savedThen: 'LATCHKEY_SESSION_GONE' },
}

/** Refuses the next store of a record, by the application whose request asks for it. */
const refusals = new WeakMap<object, () => void>()

/** A request that has been answered, and that goes on. */
async function answered(framework: Parameters<typeof Site.start>[1] & object, answer: RequestHandler): Promise<{ site: Site; visitor: Browser; req: Request }> {
  let kept: Request | undefined
  const site = await Site.start((app) => {
    app.get('/it', (req, res, next) => ((kept = req), void answer(req, res, next)))
    app.get('/logout', (req, res) => void req.session.destroy(() => res.json({})))
    app.get('/renew', (req, res) => {
      const data = { ...req.session }
      req.session.regenerate(() => (Object.assign(req.session, { user: data.cookie && 'ada' }), void res.json({})))
    })
  }, framework)
  const visitor = await site.visitor()
  refusals.set(site.app, () => site.wire?.refuse(storesRecord))
  await visitor.get('/it')
  if (kept === undefined) throw new Error('no request')
  return { site, visitor, req: kept }
}

describe.each(EXPRESSES)('%s: after an answer', (_name, framework) => {
  describe.each(ANSWERS)('%s', (_what, answer) => {
    it.each(OTHERS)('save(), reload() and save(): %s', async (what, path) => {
      const { site, visitor, req } = await answered({ framework, managerOptions: { retiredCopySec: 0 } }, answer)
      expect(await site.isFree(visitor.sid)).toBe(true)
      if (path !== undefined) await visitor.twin().get(path)
      const before = await site.stored(req.sessionID)
      visit(req).seen = 1
      const saved = codeOf(await save(req))
      expect(await site.isFree(req.sessionID)).toBe(true)
      if (saved !== 'ok') expect(await site.stored(req.sessionID)).toEqual(before)
      const reloaded = codeOf(await reload(req))
      expect(await site.isFree(req.sessionID), 'reload() keeps no lock').toBe(true)
      visit(req).list = ['x']
      const savedThen = codeOf(await save(req))
      expect(await site.isFree(req.sessionID)).toBe(true)
      expect({ saved, reloaded, savedThen }).toEqual(OUTCOMES[what])
      const own = saved === 'ok' ? { seen: 1 } : {}
      expect(await site.stored(req.sessionID)).toEqual(savedThen === 'ok' ? { ...before, ...own, list: ['x'] } : before)
    })

    it('with a copy left behind for a while, the copy is not changed', async () => {
      const { site, visitor, req } = await answered({ framework, managerOptions: { retiredCopySec: 60 } }, answer)
      await visitor.twin().get('/renew')
      const before = await site.stored(req.sessionID)
      visit(req).seen = 1
      expect(codeOf(await save(req))).toBe('LATCHKEY_READ_ONLY')
      expect(codeOf(await reload(req))).toBe('ok')
      visit(req).seen = 1
      expect(codeOf(await save(req))).toBe('LATCHKEY_READ_ONLY')
      expect(await site.stored(req.sessionID)).toEqual(before)
      expect(await site.isFree(req.sessionID)).toBe(true)
    })
  })

  it('a new session that was stored goes on, and one that was not is stored', async () => {
    for (const isStored of [true, false]) {
      let kept: Request | undefined
      const site = await Site.start((app) => {
        app.get('/it', (req, res) => {
          kept = req
          if (isStored) visit(req).n = 1
          res.json({})
        })
      }, { framework })
      await site.browser().get('/it')
      if (kept === undefined) throw new Error('no request')
      visit(kept).seen = 1
      expect(codeOf(await save(kept))).toBe('ok')
      visit(kept).seen = 2
      expect(codeOf(await save(kept))).toBe('ok')
      expect(await site.stored(kept.sessionID)).toEqual({ ...(isStored ? { n: 1 } : {}), seen: 2 })
      expect(await site.isFree(kept.sessionID)).toBe(true)
    }
  })

  it('a session that this request has ended or renewed is not brought back', async () => {
    for (const how of ['destroy', 'regenerate'] as const) {
      const old = barrier<{ sid: string; session: Request['session']; store: Request['sessionStore'] }>()
      const { site } = await answered({ framework }, (req, res) => {
        old.open({ sid: req.sessionID, session: req.session, store: req.sessionStore })
        void req.session[how](() => void res.json({}))
      })
      const { sid, session, store } = await old.passed
      const told = await new Promise<Told>((resolve) => void store.set(sid, session, resolve))
      expect(codeOf(told)).toBe('LATCHKEY_SESSION_GONE')
      expect(await site.stored(sid)).toBeUndefined()
    }
  })

  it('what nobody is told of goes to the failure event: save() is mostly called without a callback', async () => {
    const { site, visitor, req } = await answered({ framework }, (_req, res) => void res.json({}))
    await visitor.twin().get('/set/theme/dark')
    visit(req).seen = 1
    req.session.save()
    await until(() => site.failures.length === 1)
    expect(site.failures).toMatchObject([{ code: 'LATCHKEY_FENCED' }])
  })

  it('a save() in the same turn as the answer is part of it; one that another request came before is fenced', async () => {
    const { site, req } = await answered({ framework }, (req, res) => {
      visit(req).n = 1
      res.json({})
      visit(req).seen = 1
      req.session.save()
    })
    expect(await site.stored(req.sessionID)).toEqual({ user: 'ada', n: 1, seen: 1 })
    expect(site.failures).toEqual([])
  })

  it('that told of a save that was refused: reload() and save() are as after any other', async () => {
    const { site, req } = await answered({ framework }, (req, res) => {
      visit(req).n = 1
      refusals.get(req.app)?.()
      req.session.save((error: Told) => void res.status(error === undefined ? 200 : 503).json({}))
    })
    expect(await site.stored(req.sessionID)).toEqual({ user: 'ada' })
    expect(codeOf(await reload(req))).toBe('ok')
    visit(req).seen = 1
    expect(codeOf(await save(req))).toBe('ok')
    expect(await site.stored(req.sessionID)).toEqual({ user: 'ada', seen: 1 })
  })

  it('a reload() that is under way when the response ends keeps no lock', async () => {
    const { site, req } = await answered({ framework }, (req, res) => {
      res.json({})
      req.session.reload(() => undefined)
    })
    await until(() => site.isFree(req.sessionID))
  })

  it('the race is decided by the lock: of two that saw the same, one is stored and the other is told', async () => {
    const { site, visitor, req } = await answered({ framework }, (_req, res) => void res.json({}))
    const stop = site.wire?.stop(storesRecord)
    visit(req).seen = 1
    const first = save(req)
    await stop?.arrived
    const second = visitor.twin().get('/set/theme/dark')
    await until(() => site.manager.stats().waiting === 1)
    stop?.go()
    expect(codeOf(await first)).toBe('ok')
    await second
    expect(await site.stored(req.sessionID)).toEqual({ user: 'ada', seen: 1, theme: 'dark' })
  })
})

describe.each(EXPRESSES)('%s: a download', (_name, framework) => {
  const download = (app: Express): unknown =>
    app.get('/file', (_req, res) => {
      res.write('x'.repeat(1000))
      setImmediate(() => res.write('y'.repeat(20_000_000)))
    })

  it('of a session that nothing changed holds it no longer than its head, however slowly it is read', async () => {
    const site = await Site.start(download, { framework })
    const visitor = await site.visitor()
    const socket = connect(visitor.port, '127.0.0.1')
    socket.write(`GET /file HTTP/1.1\r\nHost: localhost\r\nCookie: ${visitor.cookie ?? ''}\r\n\r\n`)
    // The head has come; from here on it reads nothing.
    await once(socket, 'readable')
    expect((await visitor.get('/set/theme/dark')).status).toBe(200)
    expect(site.ops.filter((ops) => ops.includes('cad'))).toHaveLength(2)
    socket.destroy()
  })

  it('a change that comes after its head is stored at its end, if nobody came in between', async () => {
    for (const path of [undefined, '/set/theme/dark']) {
      const goOn = barrier()
      const site = await Site.start(
        (app) => {
          app.get('/it', async (req, res) => {
            res.write('a ')
            await goOn.passed
            visit(req).n = 1
            res.end('stream')
          })
        },
        { framework },
      )
      const visitor = await site.visitor()
      const streaming = visitor.get('/it')
      await until(async () => site.ops.length === 2 && (await site.isFree(visitor.sid)))
      if (path !== undefined) await visitor.twin().get(path)
      goOn.open()
      expect((await streaming).body).toBe('a stream')
      expect(await site.stored(visitor.sid)).toEqual(path === undefined ? { user: 'ada', n: 1 } : { user: 'ada', theme: 'dark' })
      expect(site.failures).toMatchObject(path === undefined ? [] : [{ code: 'LATCHKEY_FENCED' }])
    }
  })
})
