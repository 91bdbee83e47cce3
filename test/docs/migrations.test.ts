import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'
import { rowsOf } from '../support/matrix.js'
import { blocksOf, PAGES, read, ROOT } from '../support/pages.js'
import { builtProgram } from '../support/programs.js'

/** What docs/guide/migrating/ tells who comes from another store, done to a small application: test/docs/migrating/. */

const APPLICATIONS = 'test/docs/migrating'
const EXPRESS_SHOP = pathToFileURL(join(ROOT, 'test/docs/express-shop.mjs')).href
const SCRATCH = join(ROOT, '.cache/migrations')
/** The other stores are installed there, by `npm run bench`. */
const BENCH_SCRATCH = join(ROOT, 'bench/node_modules/.latchkey-migration')
const ITEMS = ['0', '1', '2', '3', '4', '5', '6', '7']

let server: MemcachedServer
let redis: RedisProcess | undefined
beforeAll(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  server = await MemcachedServer.start()
  redis = hasRedis ? await RedisProcess.start() : undefined
})
afterAll(async () => {
  rmSync(SCRATCH, { recursive: true, force: true })
  rmSync(BENCH_SCRATCH, { recursive: true, force: true })
  await server.stop()
  await redis?.stop()
})

interface Change {
  readonly out: readonly string[]
  readonly in: readonly string[]
}

/** The changes of a page's diff: neighbouring lines that go, and those that come in their place. */
function changesOf(page: string): readonly Change[] {
  const [diff = ''] = blocksOf(page).flatMap(({ how, code }) => (how === 'migration' ? [code] : []))
  const linesOf = (text: string, sign: string): string[] => text.split('\n').flatMap((line) => (line.startsWith(sign) ? [line.slice(1)] : []))
  return [...diff.matchAll(/(?:^-.*\n)*(?:^\+.*\n)*/gm)].flatMap(([text]) => (text === '' ? [] : [{ out: linesOf(text, '-'), in: linesOf(text, '+') }]))
}

function migrated(application: string, changes: readonly Change[]): string {
  let text = application
  for (const { out, in: added } of changes) {
    const old = `\n${out.join('\n')}\n`
    expect(text.split(old)).toHaveLength(2)
    text = text.replace(old, () => `\n${added.join('\n')}\n`)
  }
  return placed(text).replace('file:./', `file:${SCRATCH}/`)
}

/** As it runs in another folder, on the server of this test. */
const placed = (application: string): string =>
  application.replace('127.0.0.1:11211', server.address).replace('127.0.0.1:6379', redis?.address ?? '').replace('../express-shop.mjs', EXPRESS_SHOP)

interface Shop {
  readonly user: string
  readonly list: readonly string[]
}

const isShop = (found: unknown): found is Shop =>
  typeof found === 'object' && found !== null && 'user' in found && 'list' in found && Array.isArray(found.list)

/** A visitor whose page adds eight things to a list at once, after a login; what is in the list then. After a logout nothing is. */
async function shopAt(program: string): Promise<Shop> {
  const child = spawn(process.execPath, [program], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (chunk: Buffer) => {
        resolve(chunk.toString().trim())
      })
      child.once('exit', (code) => {
        reject(new Error(`it ended with ${String(code)}`))
      })
    })
    const cookies = new Map<string, string>()
    const ask = async (method: string, path: string, triesLeft = 5): Promise<unknown> => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { cookie } })
      // Beside much other work a server can be later than the two seconds of the defaults, and a browser is told to ask again.
      if (answer.status === 503 && triesLeft > 0) {
        await delay(1000 * Number(answer.headers.get('retry-after') ?? 1))
        return ask(method, path, triesLeft - 1)
      }
      if (answer.status !== 200) expect.fail(`${method} ${path}: ${String(answer.status)} ${await answer.text()}`)
      for (const line of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^(.*?)=(.*?)(?:;|$)/.exec(line) ?? []
        cookies.set(name, value)
      }
      return method === 'GET' ? answer.json() : answer.text()
    }
    await ask('POST', '/visit')
    await ask('POST', '/login/ada')
    await Promise.all(ITEMS.map((item) => ask('POST', `/list/${item}`)))
    const found = await ask('GET', '/list')
    if (!isShop(found)) throw new Error(`not the shop's: ${JSON.stringify(found)}`)
    await ask('POST', '/logout')
    expect(await ask('GET', '/list')).toEqual({ list: [] })
    // An item that was added without an answer is there twice when it was asked for again.
    return { user: found.user, list: [...new Set(found.list)].sort() }
  } finally {
    child.kill('SIGKILL')
  }
}

const pages = PAGES.filter((page) => blocksOf(page).some(({ how }) => how === 'migration'))
const nameOf = (page: string): string => page.replace(/.*\/(.*)\.md$/, '$1')

it('there is an application for each page with a change, and a page for each application', () => {
  expect(readdirSync(join(ROOT, APPLICATIONS)).sort()).toEqual(pages.map((page) => `${nameOf(page)}.mjs`))
})

describe.each(pages.map((page) => [nameOf(page), page] as const))('coming from %s', (name, page) => {
  it('adds at most five lines', () => {
    const added = changesOf(page).flatMap((change) => change.in)
    expect(added.length).toBeGreaterThan(0)
    expect(added.length).toBeLessThanOrEqual(5)
  })

  it.skipIf(!rowsOf(pages, 2).includes(page) || (name === 'connect-redis' && !hasRedis))('an application loses nothing any more', async () => {
    const file = join(SCRATCH, `${name}.mjs`)
    writeFileSync(file, migrated(read(`${APPLICATIONS}/${name}.mjs`), changesOf(page)))
    expect(await shopAt(await builtProgram(file))).toEqual({ user: 'ada', list: ITEMS })
  })
})

describe('before the change', () => {
  it.each(rowsOf(['fastify-session', 'koa-session']))('an application on %s lost some', async (name) => {
    const { user, list } = await shopAt(await builtProgram(join(ROOT, APPLICATIONS, `${name}.mjs`)))
    expect(user).toBe('ada')
    expect(list.length).toBeLessThan(ITEMS.length)
  })

  it.skipIf(!existsSync(join(ROOT, 'bench/node_modules/connect-memcached')))('an application on connect-memcached lost some', async () => {
    mkdirSync(BENCH_SCRATCH, { recursive: true })
    const file = join(BENCH_SCRATCH, 'before.mjs')
    writeFileSync(file, placed(read(`${APPLICATIONS}/connect-memcached.mjs`)))
    // As it is: the packages that it needs are found from where it stands, and from nowhere else.
    const { user, list } = await shopAt(file)
    expect(user).toBe('ada')
    expect(list.length).toBeLessThan(ITEMS.length)
  })
})
