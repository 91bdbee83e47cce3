import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Browser } from './express/browser.js'
import { builtProgram } from '../support/programs.js'
import { until } from './express/site.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Starts an example as a user would, and ends it with SIGTERM: it must end by itself then, with nothing held. */
export async function serving(example: string, servers: string | undefined, use: (port: number) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [await builtProgram(join(ROOT, example))], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], ...(servers === undefined ? {} : { MEMCACHE_SERVERS: servers }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  try {
    await until(() => printed.includes('\n'), 15_000)
    await use(Number(new URL(printed.trim()).port))
    const ended = once(child, 'close')
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(printed).toContain('held 0, waiting 0')
  } finally {
    child.kill('SIGKILL')
  }
}

/** What every shop among the examples can do. */
export async function playShop(browser: Browser): Promise<void> {
  const post = (path: string): ReturnType<Browser['get']> => browser.get(path, { method: 'POST' })
  const cart = async (): Promise<unknown> => JSON.parse((await browser.get('/cart')).body)
  try {
    await post('/cart/pen')
    const before = browser.sid
    await Promise.all(Array.from({ length: 20 }, (_, at) => post(at % 2 === 0 ? '/cart/pen' : '/cart/ink')))
    expect((await post('/cart/gold')).status).toBe(404)
    expect((await post('/pay')).status).toBe(401)
    await post('/login/ada')
    expect(browser.sid).not.toBe(before)
    expect(await cart()).toEqual({ user: 'ada', cart: { pen: 11, ink: 10 } })
    const paid = await Promise.all([post('/pay'), post('/pay'), post('/pay')])
    expect(paid.map(({ body }): number => JSON.parse(body).paid).sort((a, b) => a - b)).toEqual([0, 0, 92])
    await post('/logout')
    expect(await cart()).toEqual({ cart: {} })
  } finally {
    browser.close()
  }
}
