import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import { SessionManager } from 'latchkey'
import latchkey from 'latchkey/fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { visit } from './site.js'

/** What is the own session's alone: `fastifySession: false`. */

let manager = new SessionManager()
const apps: FastifyInstance[] = []
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()))
  await manager.close()
  manager = new SessionManager()
})

async function application(secret: string[]): Promise<FastifyInstance> {
  const app = Fastify()
  apps.push(app)
  await app.register(cookie, { secret })
  await app.register(latchkey, { manager, fastifySession: false })
  app.get('/count', async (request) => {
    const session = visit(request)
    session.n = (session.n ?? 0) + 1
    return { n: session.n }
  })
  return app
}

describe('the own session', () => {
  it('a secret that is changed: what the old one signed is read, and signed anew, so that the old one can be dropped', async () => {
    const [older, newer, last] = [await application(['old']), await application(['new', 'old']), await application(['new'])]
    const first = (await older.inject('/count')).cookies[0]?.value ?? ''
    const anew = await newer.inject({ url: '/count', cookies: { sessionId: first } })
    expect(anew.json()).toEqual({ n: 2 })
    const value = anew.cookies[0]?.value ?? ''
    expect(value).not.toBe('')
    const answer = await last.inject({ url: '/count', cookies: { sessionId: value } })
    expect(answer.json()).toEqual({ n: 3 })
    expect(answer.cookies).toEqual([])
  })

  it('a new id is told, also where a later save() has failed and the handler says so', async () => {
    const app = await application(['s'])
    app.get('/login', async (request, reply) => {
      const session = visit(request)
      await session.regenerate()
      session.big = 1n
      await session.save().catch(() => void reply.code(422))
      return {}
    })
    app.get('/who', async (request) => ({ n: visit(request).n }))
    const sessionId = (await app.inject('/count')).cookies[0]?.value ?? ''
    const login = await app.inject({ url: '/login', cookies: { sessionId } })
    expect(login.statusCode).toBe(422)
    const anew = login.cookies[0]?.value ?? ''
    expect((await app.inject({ url: '/who', cookies: { sessionId: anew } })).json()).toEqual({ n: 1 })
  })

  it('get() and set(), as @fastify/passport keeps its user', async () => {
    const app = await application(['s'])
    const accessOf = (request: object): { get(name: string): unknown; set(name: string, value: unknown): void } => Reflect.get(request, 'session')
    app.get('/login', async (request) => {
      accessOf(request).set('passport', { user: 'ada' })
      accessOf(request).set('csrf', undefined)
      return {}
    })
    app.get('/who', async (request) => ({ user: accessOf(request).get('passport'), n: accessOf(request).get('n') }))
    const sessionId = (await app.inject('/login')).cookies[0]?.value ?? ''
    expect((await app.inject({ url: '/who', cookies: { sessionId } })).json()).toEqual({ user: { user: 'ada' } })
  })
})
