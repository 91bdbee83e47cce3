import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { builtProgram } from '../support/programs.js'

/** examples/express, as a process of its own on a real memcached. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

let server: MemcachedServer
let example: ChildProcess
let base = ''
const said: string[] = []
beforeAll(async () => {
  server = await MemcachedServer.start()
  const env = { ...process.env, MEMCACHE_SERVERS: `127.0.0.1:${String(server.port)}`, PORT: '0' }
  const child = spawn(process.execPath, [await builtProgram(join(ROOT, 'examples/express/main.ts'))], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] })
  example = child
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => said.push(line))
  await once(lines, 'line')
  base = said[0] ?? ''
})
afterAll(async () => {
  example.kill('SIGKILL')
  await server.stop()
})

class Shopper {
  cookie = ''

  async ask(method: 'GET' | 'POST', path: string): Promise<{ status: number; body: unknown; cookies: string[] }> {
    const { cookie } = this
    const response = await fetch(base + path, { method, headers: cookie === '' ? {} : { cookie } })
    const cookies = response.headers.getSetCookie()
    const [set] = cookies
    if (set !== undefined) this.cookie = set.replace(/;.*$/, '')
    return { status: response.status, body: await response.json().catch(() => undefined), cookies }
  }
}

describe('the Express shop', () => {
  it('loses nothing of what is put into the basket at once', async () => {
    const ada = new Shopper()
    await ada.ask('POST', '/basket/pen')
    await Promise.all(Array.from({ length: 9 }, () => ada.ask('POST', '/basket/pen')))
    expect((await ada.ask('GET', '/basket')).body).toEqual({ basket: { pen: 10 } })
    expect((await ada.ask('POST', '/basket/moon')).status).toBe(404)
  })

  it('takes the basket along to the user; the old id reads on for a while, sets no cookie, and changes nothing', async () => {
    const ada = new Shopper()
    await ada.ask('POST', '/basket/ink')
    const slower = new Shopper()
    slower.cookie = ada.cookie
    const { cookies } = await ada.ask('POST', '/login/ada')
    expect(cookies).toHaveLength(1)
    expect(await slower.ask('GET', '/basket')).toMatchObject({ status: 200, body: { basket: { ink: 1 } }, cookies: [] })
    expect(await slower.ask('POST', '/basket/ink')).toMatchObject({ status: 409, cookies: [] })
    expect((await ada.ask('GET', '/basket')).body).toEqual({ customer: 'ada', basket: { ink: 1 } })
  })

  it('is paid once, and can be looked at while it is paid; after the logout it is nobody\'s', async () => {
    const ada = new Shopper()
    await ada.ask('POST', '/login/ada')
    await ada.ask('POST', '/basket/paper')
    const [first, second] = await Promise.all([ada.ask('POST', '/pay'), ada.ask('POST', '/pay')])
    expect([first.body, second.body]).toContainEqual({ paid: 4 })
    expect([first.body, second.body]).toContainEqual({ paid: 0 })
    const late = new Shopper()
    late.cookie = ada.cookie
    expect((await ada.ask('POST', '/logout')).status).toBe(200)
    expect((await late.ask('GET', '/basket')).body).toEqual({ basket: {} })
    expect((await late.ask('POST', '/pay')).status).toBe(401)
  })

  it('ends on SIGTERM with nothing held, and what was under way stored', async () => {
    const ada = new Shopper()
    await ada.ask('POST', '/basket/pen')
    const under = ada.ask('POST', '/basket/pen')
    // The request is on its way to another process; either outcome is right, as said below.
    await new Promise((resolve) => setTimeout(resolve, 1))
    example.kill('SIGTERM')
    const { status, body } = await under.catch(() => ({ status: 0, body: undefined }))
    // It came before the end, or was not taken any more.
    if (status !== 0) expect([status, body]).toEqual([200, { pen: 2 }])
    await once(example, 'close')
    expect(said.at(-1)).toBe('held 0, waiting 0')
  })
})
