import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { rowsOf } from '../../support/matrix.js'
import { MemcachedServer } from '../../support/memcached-server.js'
import { builtProgram } from '../../support/programs.js'
import { FastifyBrowser } from './browser.js'
import { until } from './site.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

describe('examples/fastify', () => {
  it.each(rowsOf(['memcached', 'memory']))('a cart that is filled by twenty requests at once, paid once, on %s', async (store) => {
    await using memcached = await MemcachedServer.start()
    const servers = store === 'memory' ? {} : { MEMCACHE_SERVERS: memcached.address }
    const child = spawn(process.execPath, [await builtProgram(join(ROOT, 'examples/fastify/main.ts'))], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...servers },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
    try {
      await until(() => printed.includes('\n'), 15_000)
      const port = Number(new URL(printed.trim()).port)
      const browser = new FastifyBrowser(port)
      const post = (path: string): ReturnType<FastifyBrowser['get']> => browser.get(path, { method: 'POST' })
      await post('/cart/pen')
      const before = browser.sid
      await Promise.all(Array.from({ length: 20 }, (_, at) => post(at % 2 === 0 ? '/cart/pen' : '/cart/ink')))
      expect((await post('/pay')).status).toBe(401)
      await post('/login/ada')
      expect(browser.sid).not.toBe(before)
      expect(JSON.parse((await browser.get('/cart')).body)).toEqual({ user: 'ada', cart: { pen: 11, ink: 10 } })
      const paid = await Promise.all([post('/pay'), post('/pay'), post('/pay')])
      expect(paid.map(({ body }): number => JSON.parse(body).paid).sort((a, b) => a - b)).toEqual([0, 0, 92])
      await post('/logout')
      expect(JSON.parse((await browser.get('/cart')).body)).toEqual({ cart: {} })
      const ended = once(child, 'close')
      child.kill('SIGTERM')
      browser.close()
      expect(await ended).toEqual([0, null])
      expect(printed).toContain('held 0, waiting 0')
      if (store === 'memcached') expect(await memcached.stat('cmd_set')).toBeGreaterThan(20)
    } finally {
      child.kill('SIGKILL')
    }
  })
})
