/** The package as it is installed, on the oldest Node that `engines` allows and on the later ones that the README names. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { Stranger } from './stranger.js'

const { engines, version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly engines: { readonly node: string }
  readonly version: string
}
const OLDEST = engines.node.replace('>=', '')
const NODES = [OLDEST, '22', '24']

/** A binary of Node, as a package of npm: one for each platform. */
const binary = (node: string): string => `node-${node}@npm:node-${process.platform}-${process.arch}@${node}`

const ENTRIES = ['', '/express', '/fastify', '/koa', '/fetch', '/opentelemetry', '/prometheus', '/testing']

/** Prints what each entry point exports; then plays a session in each framework on memcached. */
const PROGRAM = `
  const names = entries.map((entry) => Object.keys(entry).filter((name) => !['default', 'module.exports', '__esModule'].includes(name)).sort().join(' '))
  const [{ SessionManager, LockTimeoutError }, { latchkey: forExpress }, { latchkey: forFastify }, { latchkey: forKoa }, { withSession, honoSession }] = entries
  const manager = new SessionManager({ savePath: process.env.SAVE_PATH, waitMs: 0 })
  const secret = 'a secret that is 32 characters long'
  const visit = (session) => ({ n: (session.n = (session.n ?? 0) + 1) })
  const listening = async (server) => {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = 'http://127.0.0.1:' + server.address().port + '/'
    return { ask: (headers) => fetch(url, { headers }), close: () => (server.close(), server.closeAllConnections?.()) }
  }
  const called = (handler) => ({ ask: (headers) => handler(new Request('http://localhost/', { headers })), close: () => undefined })
  const sites = {
    express: () => {
      const app = express().use(forExpress({ manager, secret, resave: false, saveUninitialized: false }))
      return listening(createServer(app.get('/', (req, res) => void res.json(visit(req.session)))))
    },
    fastify: async () => {
      const app = Fastify()
      await app.register(cookie)
      await app.register(forFastify, { manager, secret, cookie: { secure: false } })
      await app.get('/', async ({ session }) => visit(session)).ready()
      return listening(app.server)
    },
    koa: () => {
      const app = new Koa()
      app.keys = [secret]
      app.use(forKoa({ manager }, app)).use((ctx) => void (ctx.body = visit(ctx.session)))
      return listening(createServer(app.callback()))
    },
    fetch: async () => called(withSession({ manager, secret }, (_request, { data }) => Response.json(visit(data)))),
    hono: async () => {
      const app = new Hono().use(honoSession({ manager, secret })).get('/', (c) => c.json(visit(c.get('session').data)))
      return called((request) => app.fetch(request))
    },
  }
  const said = []
  for (const [name, start] of Object.entries(sites)) {
    const { ask, close } = await start()
    const cookie = (await ask({})).headers.getSetCookie().map((set) => set.replace(/;.*/, '')).join('; ')
    said.push(name + ' ' + JSON.stringify(await (await ask({ cookie })).json()))
    await close()
  }
  const held = await manager.start('held')
  const error = await manager.start('held').catch((error) => error)
  await held[Symbol.asyncDispose]()
  said.push(String(error instanceof LockTimeoutError))
  await manager.close()
  console.log(JSON.stringify({ names, said }))
`

const LIBRARIES = { express: 'express', Fastify: 'fastify', cookie: '@fastify/cookie', Koa: 'koa' }

const MODULE = `
  import { createServer } from 'node:http'
  import { Hono } from 'hono'
  ${Object.entries(LIBRARIES).map(([name, from]) => `import ${name} from '${from}'`).join('\n')}
  const entries = await Promise.all([${ENTRIES.map((entry) => `import('latchkey${entry}')`).join(', ')}])
  ${PROGRAM}`

const SCRIPT = `
  const { createServer } = require('node:http')
  const { Hono } = require('hono')
  ${Object.entries(LIBRARIES).map(([name, from]) => `const ${name} = require('${from}')`).join('\n')}
  const entries = [${ENTRIES.map((entry) => `require('latchkey${entry}')`).join(', ')}]
  void (async () => { ${PROGRAM} })()`

let stranger: Stranger
let server: MemcachedServer

beforeAll(async () => {
  server = await MemcachedServer.start()
  const frameworks = 'express-session@1 express@5 fastify@5 @fastify/cookie@11 @fastify/session@11 koa@3 koa-session@7 hono@4 @opentelemetry/api@1 prom-client@15'
  stranger = await Stranger.settle(...NODES.map(binary), ...frameworks.split(' '))
  await stranger.write({ 'module.mjs': MODULE, 'script.cjs': SCRIPT })
})

afterAll(async () => {
  await stranger[Symbol.asyncDispose]()
  await server.stop()
})

describe.each(NODES)('Node %s', (node) => {
  const run = (...args: string[]): Promise<string> =>
    stranger.run(stranger.path('node_modules', `node-${node}`, 'bin/node'), args, { SAVE_PATH: `tcp://${server.address}`, MEMCACHE_SERVERS: server.address })

  it('is that one', async () => {
    expect(await run('--version')).toMatch(new RegExp(`^v${node.replaceAll('.', '\\.')}`))
  })

  it('import and require load the same names, and every framework keeps its sessions', async () => {
    const [imported, required] = [JSON.parse(await run('module.mjs')), JSON.parse(await run('script.cjs'))] as { names: string[]; said: string[] }[]
    expect(imported?.said).toEqual(['express {"n":2}', 'fastify {"n":2}', 'koa {"n":2}', 'fetch {"n":2}', 'hono {"n":2}', 'true'])
    expect(imported?.names.every((names) => names !== '')).toBe(true)
    expect(required).toEqual(imported)
  })

  it('keeps sessions on disk, without a word, where it has SQLite; else it says what to install', async () => {
    const program = `
      import { mkdtempSync } from 'node:fs'
      import { SessionManager } from 'latchkey'
      const warnings = []
      process.on('warning', ({ message }) => warnings.push(message))
      const manager = new SessionManager({ savePath: 'file:' + mkdtempSync('on-disk-') })
      const said = await manager.run('id', ({ data }) => { data.n = 1 }).then(() => manager.peek('id'), ({ code, message }) => code + ' ' + message)
      await manager.close()
      process.emitWarning('mine')
      await new Promise((resolve) => setTimeout(resolve, 50))
      console.log(JSON.stringify({ said, warnings }))`
    await stranger.write({ 'disk.mjs': program })
    const { said, warnings } = JSON.parse(await run('disk.mjs')) as { said: unknown; warnings: readonly string[] }
    if (node === OLDEST) expect(said).toMatch(/^LATCHKEY_NOT_SUPPORTED .*npm install better-sqlite3@12/)
    else expect(said).toEqual({ n: 1 })
    expect(warnings).toEqual(['mine'])
  })

  it('runs the tool', async () => {
    const tool = stranger.path('node_modules/latchkey/dist/cli/main.js')
    expect(await run(tool, '--version')).toBe(`${version}\n`)
    expect(JSON.parse(await run(tool, 'doctor'))).toMatchObject({ ok: true })
    expect(await run(tool, 'locks', '--human')).toBe('No session is locked.\n')
  })
})
