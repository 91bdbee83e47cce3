import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import Koa from 'koa'
import { latchkey } from 'latchkey/koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'
import { asksForLock } from '../express/tap-wire.js'
import { barrier, endSitesAfterEach, type Handler, Site, until } from './site.js'

endSitesAfterEach()

let memcached: MemcachedServer
beforeAll(async () => {
  memcached = await MemcachedServer.start()
})
afterAll(() => memcached.stop())

const count: Handler = async (_ctx, session) => {
  const before = session.n ?? 0
  await pause(1)
  session.n = before + 1
  return { n: session.n }
}

describe('requests of one session, koa', () => {
  it('forty at once in two processes, on memcached: all of them count, and no lock is left', async () => {
    const managerOptions = { savePath: `tcp://${memcached.address}` }
    const [one, other] = [await Site.start({ '/count': count }, { managerOptions }), await Site.start({ '/count': count }, { managerOptions })]
    const visitor = await one.visitor()
    const twin = other.browser()
    const headers = { cookie: visitor.cookie ?? '' }
    const asks = Array.from({ length: 20 }, () => [visitor.get('/count'), twin.get('/count', { headers })]).flat()
    const answers = await Promise.all(asks)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(await one.stored(visitor.sid)).toEqual({ user: 'ada', n: 40 })
    expect(await one.holder(visitor.sid)).toBeUndefined()
  })

  it('a response does not leave before its session is stored', async () => {
    const site = await Site.start({ '/count': count })
    const visitor = await site.visitor()
    const stop = site.wire?.stop((commands) => commands.some(({ op }) => op === 'cas'))
    let isAnswered = false
    const answer = visitor.get('/count').then((got) => {
      isAnswered = true
      return got
    })
    await stop?.arrived
    // A whole request of somebody else, in the meantime.
    await site.browser().get('/show')
    expect(isAnswered).toBe(false)
    stop?.go()
    expect((await answer).status).toBe(200)
  })

  it('another session does not wait', async () => {
    const { passed, open } = barrier()
    const site = await Site.start({
      '/slow': async () => {
        await passed
        return {}
      },
    })
    const [slow, other] = [await site.visitor(), await site.visitor()]
    const answer = slow.get('/slow')
    await until(() => site.manager.stats().held === 1)
    expect((await other.get('/show')).status).toBe(200)
    open()
    await answer
  })
})

describe('a client that leaves, koa', () => {
  it('before the lock is answered: it is let go as soon as it comes', async () => {
    let isSeen = false
    const watching = (app: Koa): unknown =>
      app.use((ctx, next) => {
        ctx.res.once('close', () => (isSeen = true))
        return next()
      })
    const site = await Site.start({}, { before: watching })
    const visitor = await site.visitor()
    const stop = site.wire?.stop(asksForLock)
    const leaving = new AbortController()
    const left = visitor.get('/show', { signal: leaving.signal }).catch(() => 'left')
    await stop?.arrived
    isSeen = false
    leaving.abort()
    expect(await left).toBe('left')
    await until(() => isSeen)
    stop?.go()
    await until(() => site.errors.length === 1)
    expect(site.errors[0]).toMatchObject({ code: 'LATCHKEY_CLIENT_GONE' })
    await until(() => site.isFree(visitor.sid))
  })

  it('while a middleware above took its time: nothing is waited for, and nothing held', async () => {
    const entered = barrier()
    const slow = (app: Koa): unknown =>
      app.use(async (ctx, next) => {
        if (ctx.path === '/it') {
          entered.open()
          await once(ctx.res, 'close')
        }
        await next()
      })
    const site = await Site.start({ '/it': () => new Promise(() => undefined) }, { before: slow })
    const visitor = await site.visitor()
    const leaving = new AbortController()
    const left = visitor.get('/it', { signal: leaving.signal }).catch(() => 'left')
    await entered.passed
    leaving.abort()
    await left
    await until(() => site.errors.length === 1)
    expect(site.errors[0]).toMatchObject({ code: 'LATCHKEY_CLIENT_GONE' })
    await until(() => site.isFree(visitor.sid))
  })

  it('while it waits for the lock: it stops waiting, and no handler runs', async () => {
    let calls = 0
    const site = await Site.start({ '/it': () => void calls++ })
    const visitor = await site.visitor()
    await using holder = await site.elsewhere().start(visitor.sid)
    const leaving = new AbortController()
    const left = visitor.get('/it', { signal: leaving.signal }).catch(() => 'left')
    await until(() => site.manager.stats().waiting === 1)
    leaving.abort()
    await left
    await until(() => site.manager.stats().waiting === 0)
    await holder.release()
    await until(() => site.isFree(visitor.sid))
    expect(calls).toBe(0)
  })

  it('while the handler runs, which ends later: what it did is stored', async () => {
    const { passed, open } = barrier()
    const site = await Site.start({
      '/it': async (_ctx, session) => {
        await passed
        session.n = 1
        return {}
      },
    })
    const visitor = await site.visitor()
    const leaving = new AbortController()
    const left = visitor.get('/it', { signal: leaving.signal }).catch(() => 'left')
    await until(() => site.manager.stats().held === 1)
    leaving.abort()
    await left
    open()
    await until(() => site.isFree(visitor.sid))
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
  })

  it('while the handler runs, which never ends: let go after clientGoneMs, and a later change is an error', async () => {
    const { passed, open } = barrier()
    const changed: unknown[] = []
    const site = await Site.start(
      {
        '/it': async (_ctx, session) => {
          session.n = 1
          await passed
          try {
            session.n = 2
          } catch (error) {
            changed.push(error)
          }
        },
      },
      { clientGoneMs: 30 },
    )
    const visitor = await site.visitor()
    const leaving = new AbortController()
    const left = visitor.get('/it', { signal: leaving.signal }).catch(() => 'left')
    await until(() => site.manager.stats().held === 1)
    leaving.abort()
    await left
    await until(() => site.isFree(visitor.sid))
    open()
    await until(() => changed.length === 1)
    expect(changed[0]).toMatchObject({ code: 'LATCHKEY_READ_ONLY' })
    await until(() => site.errors.length === 1)
    expect(site.errors[0]).toMatchObject({ code: 'LATCHKEY_READ_ONLY' })
    expect(await site.stored(visitor.sid)).toEqual({ user: 'ada' })
  })
})

it('latchkey twice on the way of one request, by koa-mount say: one lock, and the session is the same', async () => {
  const site = await Site.start({})
  const visitor = await site.visitor()
  const inner = latchkey({ manager: site.manager }, new Koa())
  site.routes.set('/it', async (ctx, session) => {
    session.n = 1
    await inner(ctx, async () => void (ctx['session'].list = ['a']))
    return {}
  })
  expect((await visitor.get('/it')).status).toBe(200)
  expect(await site.stored(visitor.sid)).toEqual({ user: 'ada', n: 1, list: ['a'] })
})
