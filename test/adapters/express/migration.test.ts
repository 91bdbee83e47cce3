import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'

/** What docs/guide/migrating/ tells who comes from another store, done to a small application. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const HERE = join(ROOT, 'test/adapters/express/migration')
const SCRATCH = join(ROOT, '.cache/express-migration')
/** The peers are installed there, by `npm run bench`. */
const BENCH_SCRATCH = join(ROOT, 'bench/node_modules/.latchkey-migration')
const ITEMS = ['0', '1', '2', '3', '4', '5', '6', '7']

let server: MemcachedServer
beforeAll(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  server = await MemcachedServer.start()
})
afterAll(async () => {
  rmSync(SCRATCH, { recursive: true, force: true })
  rmSync(BENCH_SCRATCH, { recursive: true, force: true })
  await server.stop()
})

function diffOf(store: string): { readonly out: readonly string[]; readonly in: readonly string[] } {
  const docs = readFileSync(join(ROOT, `docs/guide/migrating/${store}.md`), 'utf8')
  const [, diff = ''] = /```diff\n([^]*?)```/.exec(docs) ?? []
  const lines = (sign: string): string[] => diff.split('\n').flatMap((line) => (line.startsWith(sign) ? [line.slice(1)] : []))
  return { out: lines('-'), in: lines('+') }
}

/** The first new line stands for the first old one, and so on; what is left over goes. */
function migrated(application: string, { out, in: added }: ReturnType<typeof diffOf>): string {
  const imports = added.filter((line) => line.startsWith('import'))
  const rest = added.filter((line) => !line.startsWith('import'))
  let text = application
  for (const line of out) {
    expect(text).toContain(`\n${line}\n`)
    const next = line.startsWith('import') ? imports.shift() : out.indexOf(line) === out.length - 1 ? rest.join('\n') : undefined
    text = text.replace(`${line}\n`, next === undefined ? '' : `${next}\n`)
  }
  return text
}

/** A visitor whose page adds eight things to a list at once, after a login. */
async function shop(file: string): Promise<{ user: string; list: string[] }> {
  const child = spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (chunk: Buffer) => {
        resolve(chunk.toString().trim())
      })
      child.once('exit', (code) => {
        reject(new Error(`it ended with ${String(code)}`))
      })
    })
    let cookie = ''
    const ask = async (method: string, path: string): Promise<Response> => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { cookie } })
      expect(answer.status).toBe(200)
      cookie = answer.headers.getSetCookie()[0]?.split(';')[0] ?? cookie
      return answer
    }
    await ask('POST', '/visit')
    await ask('POST', '/login/ada')
    await Promise.all(ITEMS.map((item) => ask('POST', `/list/${item}`)))
    const found: unknown = await (await ask('GET', '/list')).json()
    if (!isShop(found)) throw new Error(`not the shop's: ${JSON.stringify(found)}`)
    return found
  } finally {
    child.kill('SIGKILL')
  }
}

const isShop = (found: unknown): found is { user: string; list: string[] } =>
  typeof found === 'object' && found !== null && 'user' in found && 'list' in found && Array.isArray(found.list)

describe.each(['connect-memcached', 'connect-redis'])('coming from %s', (store) => {
  const application = readFileSync(join(HERE, `${store}.mjs`), 'utf8')

  it('adds at most five lines, and takes out those of the old store', () => {
    const diff = diffOf(store)
    expect(diff.in.length).toBeGreaterThan(0)
    expect(diff.in.length).toBeLessThanOrEqual(5)
    for (const line of diff.out) expect(application).toContain(`\n${line}\n`)
  })

  it('an application loses nothing any more', async () => {
    const file = join(SCRATCH, `${store}.mjs`)
    writeFileSync(file, migrated(application, diffOf(store)).replace('127.0.0.1:11211', server.address))
    const { user, list } = await shop(file)
    expect({ user, list: list.sort() }).toEqual({ user: 'ada', list: ITEMS })
  })
})

it.skipIf(!existsSync(join(ROOT, 'bench/node_modules/connect-memcached')))('on connect-memcached it lost some', async () => {
  mkdirSync(BENCH_SCRATCH, { recursive: true })
  const file = join(BENCH_SCRATCH, 'before.mjs')
  writeFileSync(file, readFileSync(join(HERE, 'connect-memcached.mjs'), 'utf8').replace('127.0.0.1:11211', server.address))
  const { user, list } = await shop(file)
  expect(user).toBe('ada')
  expect(list.length).toBeLessThan(ITEMS.length)
})
