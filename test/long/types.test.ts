/** The types of the package as it is installed: for the oldest and the newest TypeScript that the README names. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stranger } from './stranger.js'

const FRAMEWORKS = [
  'express-session@1 @types/express-session express@5 @types/express fastify@5 @fastify/cookie@11 @fastify/session@11',
  'koa@3 @types/koa koa-session@7 hono@4 @opentelemetry/api@1 prom-client@15',
].flatMap((line) => line.split(' '))

/** What `main` and the rest of the package are without a framework beside them. */
const PLAIN = `
  import { FencedError, LatchkeyError, type LockTimeoutError, type Session, SessionManager, SessionStore } from 'latchkey'
  import { withSession } from 'latchkey/fetch'
  import { VirtualClock } from 'latchkey/testing'
  export const manager = new SessionManager({ leaseSec: 5, clock: new VirtualClock() })
  export const work = async (): Promise<void> => {
    const session: Session<{ n: number }> = await manager.start<{ n: number }>('id')
    const n: number | undefined = session.data.n
    // @ts-expect-error: n is a number
    session.data.n = 'text'
    // @ts-expect-error: there is no such option
    new SessionManager({ leaseMs: 5 })
    await session[Symbol.asyncDispose]()
    await new SessionStore().open('memory:', String(n))
  }
  export const text = async (): Promise<string> => {
    const record = await manager.lock('id')
    // @ts-expect-error: for the locker alone
    void record.acquired
    // @ts-expect-error: for whoever has a promise already
    void record.store
    return record.text
  }
  export const seen = (error: LockTimeoutError): 'LATCHKEY_LOCK_TIMEOUT' => error.code
  export const kinds: (typeof LatchkeyError)[] = [FencedError]
  export const POST = withSession<{ n: number }, [{ id: string }]>({ manager, secret: 'x' }, (_request, session, { id }) => {
    // @ts-expect-error: for the adapter alone
    void session.life
    return Response.json([session.data.n, id])
  })
`

const WITH_FRAMEWORKS = `${PLAIN}
  import { latchkey as forExpress, readOnly, SessionHttpError } from 'latchkey/express'
  import fastifyPlugin, { latchkey as forFastify } from 'latchkey/fastify'
  import koaMiddleware, { latchkey as forKoa } from 'latchkey/koa'
  import { honoSession } from 'latchkey/fetch'
  import { instrumentPrometheus } from 'latchkey/prometheus'
  import { instrumentOpenTelemetry } from 'latchkey/opentelemetry'
  import express from 'express'
  import Fastify from 'fastify'
  import Koa from 'koa'
  import { Hono } from 'hono'
  export const use = async (): Promise<void> => {
    express().use(forExpress({ manager, secret: 'x', resave: false, label: (req: express.Request) => req.path }), readOnly).get('/', (req) => void req.session.release())
    await Fastify().register(fastifyPlugin, { manager, secret: 'x' })
    await Fastify().register(forFastify, { manager, fastifySession: false })
    const app = new Koa()
    app.use(forKoa({ manager }, app)).use(koaMiddleware({ manager }, app))
    new Hono().use(honoSession({ manager, secret: 'x' }))
    instrumentPrometheus(manager)
    instrumentOpenTelemetry(manager)
  }
  export const status = (error: SessionHttpError): number => error.status
`

/** `fastifySession: false` needs no @fastify/session, and neither do its types. */
const WITH_FASTIFY_ALONE = `${PLAIN}
  import plugin from 'latchkey/fastify'
  import cookie from '@fastify/cookie'
  import Fastify from 'fastify'
  declare module 'fastify' { interface LatchkeySession { visits?: number } }
  export const use = async (): Promise<void> => {
    const app = Fastify()
    await app.register(cookie, { secret: 'x' })
    await app.register(plugin, { manager, fastifySession: false, cookie: { maxAge: 60 } })
    // @ts-expect-error: there is no such option
    await app.register(plugin, { manager, fastifySession: false, lifetimeSecs: 5 })
    app.get('/', async ({ session }) => {
      await session.release()
      // @ts-expect-error: visits is a number
      session.visits = 'one'
      return session.visits
    })
  }
`

/** One compilation has both formats where TypeScript tells them apart by their ending. */
const MODES: Readonly<Record<string, { readonly files: readonly string[]; readonly options: readonly string[] }>> = {
  'nodenext, ESM and CommonJS': { files: ['app.mts', 'app.cts'], options: ['--module', 'nodenext'] },
  'node16, ESM and CommonJS': { files: ['app.mts', 'app.cts'], options: ['--module', 'node16'] },
  'a bundler': { files: ['app.ts'], options: ['--module', 'esnext', '--moduleResolution', 'bundler'] },
  'commonjs, node10': { files: ['app.ts'], options: ['--module', 'commonjs', '--moduleResolution', 'node10'] },
}

/** TypeScript 7 has no node10 any more. */
const COMPILERS: Readonly<Record<string, readonly string[]>> = {
  oldest: Object.keys(MODES),
  newest: Object.keys(MODES).filter((mode) => !mode.includes('node10')),
}

const CASES = Object.entries(COMPILERS).flatMap(([compiler, modes]) =>
  modes.flatMap((mode) => ['true', 'false'].map((skipLibCheck) => [compiler, mode, skipLibCheck] as const)),
)

let bare: Stranger
let framed: Stranger
let ownFastify: Stranger

beforeAll(async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const [, oldest = ''] = /TypeScript (\d+\.\d+) or later/.exec(readme) ?? []
  const compilers = [`oldest@npm:typescript@${oldest}`, 'newest@npm:typescript@latest', '@types/node@20']
  bare = await Stranger.settle(...compilers)
  framed = await Stranger.settle(...compilers, ...FRAMEWORKS)
  ownFastify = await Stranger.settle(...compilers, 'fastify@5', '@fastify/cookie@11')
  await bare.write(Object.fromEntries(['app.ts', 'app.mts', 'app.cts'].map((name) => [name, PLAIN])))
  await ownFastify.write(Object.fromEntries(['app.ts', 'app.mts', 'app.cts'].map((name) => [name, WITH_FASTIFY_ALONE])))
  await framed.write(Object.fromEntries(['app.ts', 'app.mts', 'app.cts'].map((name) => [name, WITH_FRAMEWORKS])))
})

afterAll(async () => {
  await bare[Symbol.asyncDispose]()
  await framed[Symbol.asyncDispose]()
  await ownFastify[Symbol.asyncDispose]()
})

describe.each(CASES)('TypeScript, the %s, %s, skipLibCheck %s', (compiler, mode, skipLibCheck) => {
  it.each(['without frameworks', 'with frameworks', 'with Fastify, and without @fastify/session'])('%s', async (frameworks) => {
    const stranger = frameworks === 'with frameworks' ? framed : frameworks === 'without frameworks' ? bare : ownFastify
    const { files = [], options = [] } = MODES[mode] ?? {}
    const common = ['--noEmit', '--strict', '--esModuleInterop', '--target', 'es2022', '--types', 'node', '--pretty', 'false']
    const args = [stranger.path('node_modules', compiler, 'bin/tsc'), ...common, '--skipLibCheck', skipLibCheck, ...options, ...files]
    const said = await stranger.run(process.execPath, args).catch((error: unknown) => (error instanceof Error ? error.message : ''))
    // The types of frameworks have faults of their own: with an old TypeScript, with another's newest version.
    const errors = said.split('\n').filter((line) => /error TS/.test(line))
    const ours = errors.filter((line) => !line.startsWith('node_modules/') || line.startsWith('node_modules/latchkey/'))
    expect(ours).toEqual([])
    // It ran: nothing was said, or errors of others were.
    expect(said === '' || errors.length > 0, said).toBe(true)
  })
})
