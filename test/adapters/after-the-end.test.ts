import { describe, expect, it } from 'vitest'
import * as expressSite from './express/site.js'
import * as fastifySite from './fastify/site.js'
import * as koaSite from './koa/site.js'

/**
 * What frameworks do with a session when the response has left: nothing of it is stored any more, and whoever tries to store
 * is told; so nothing of others is overwritten. A save() has rules of its own in Express (express/after-the-answer.test.ts).
 */

expressSite.endSitesAfterEach()
fastifySite.endSitesAfterEach()
koaSite.endSitesAfterEach()

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : error)

async function told(work: () => unknown): Promise<unknown> {
  try {
    await work()
    return 'ok'
  } catch (error) {
    return codeOf(error)
  }
}

/** A visit that is over, and its session object, which somebody has kept. */
async function visitedFastify(kind: (typeof fastifySite.KINDS)[number]) {
  let kept: fastifySite.Visit | undefined
  const site = await fastifySite.Site.start(kind, (app) => {
    app.get('/it', (request, reply) => ((kept = fastifySite.visit(request)), reply.send({})))
  })
  const visitor = await site.visitor()
  await visitor.get('/it')
  if (kept === undefined) throw new Error('nobody came')
  return { site, kept, sid: visitor.sid, stored: await site.stored(visitor.sid) }
}

describe('after the end of a response', () => {
  it('koa: a change and a commit are refused, and what another has stored stays', async () => {
    let kept: koaSite.Visit | undefined
    const site = await koaSite.Site.start({ '/it': (_ctx, session) => ((kept = session), {}) })
    const visitor = await site.visitor()
    await visitor.get('/it')
    const stored = await site.stored(visitor.sid)
    expect(await told(() => Object.assign(kept ?? {}, { n: 1 }))).toBe('LATCHKEY_READ_ONLY')
    // koa-session's own.
    const commit: unknown = Reflect.get(kept ?? {}, 'commit')
    expect(await told(() => (typeof commit === 'function' ? commit.call(kept) : 'none'))).toBe('LATCHKEY_READ_ONLY')
    expect(await site.stored(visitor.sid)).toEqual(stored)
    expect(site.manager.stats()).toMatchObject({ held: 0, waiting: 0 })
  })

  it.each(fastifySite.KINDS)('fastify, %s: a save is refused, and what another has stored stays', async (kind) => {
    const { site, kept, sid, stored } = await visitedFastify(kind)
    const change = async (): Promise<void> => {
      Object.assign(kept, { n: 1 })
      await kept.save()
    }
    expect(await told(change)).toBe('LATCHKEY_READ_ONLY')
    expect(await site.stored(sid)).toEqual(stored)
    expect(site.manager.stats()).toMatchObject({ held: 0, waiting: 0 })
  })

  it('express: a change alone is dropped, and is no error', async () => {
    let kept: expressSite.Visit | undefined
    const site = await expressSite.Site.start((app) => app.get('/it', (req, res) => ((kept = expressSite.visit(req)), void res.json({}))))
    const visitor = await site.visitor()
    await visitor.get('/it')
    const stored = await site.stored(visitor.sid)
    expect(await told(() => Object.assign(kept ?? {}, { n: 1 }))).toBe('ok')
    expect(await site.stored(visitor.sid)).toEqual(stored)
  })

  it.each([
    ['with @fastify/session', 'ok'],
    ['without @fastify/session', 'LATCHKEY_READ_ONLY'],
  ] as const)('fastify, %s: a change alone, %s', async (kind, outcome) => {
    const { site, kept, sid, stored } = await visitedFastify(kind)
    expect(await told(() => Object.assign(kept, { n: 1 }))).toBe(outcome)
    expect(await site.stored(sid)).toEqual(stored)
  })
})
