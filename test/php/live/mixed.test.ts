import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionManager } from 'latchkey'
import { rowsOf } from '../../support/matrix.js'
import { countTogether } from '../../support/mixed.js'
import { MemcachedServer } from '../../support/memcached-server.js'
import { iniOf, PhpProcess, runPhp, sumOf, totalOf } from '../../support/php.js'

const servers: MemcachedServer[] = []

beforeAll(async () => {
  servers.push(...(await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))))
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
})

const ports = (count: number): number[] => servers.slice(0, count).map(({ port }) => port)
const savePathOf = (count: number): string => ports(count).map((port) => `tcp://127.0.0.1:${String(port)}`).join(',')
const idsFor = (name: string): string[] => [1, 2, 3, 4, 5].map((index) => `${name}x${String(index)}xABCDEFGHIJKLMNOPQRSTU`)

describe.each(rowsOf([
  { extension: 'memcached', count: 3, handler: 'php', isBinary: 1 },
  { extension: 'memcached', count: 3, handler: 'php_serialize', isBinary: 0 },
  { extension: 'memcache', count: 1, handler: 'php', isBinary: 0 },
] as const))('PHP and Node on the same sessions: %j', ({ extension, count, handler, isBinary }) => {
  it('every increment that was acknowledged is counted', async () => {
    const ids = idsFor(`${extension}${handler}`.replace('_', ''))
    // A busy machine is no fault.
    const options = { savePath: savePathOf(count), deadlineMs: 60_000, php: { extension, serializeHandler: handler, standBackMs: 20 } }
    const job = { ids, holdMs: 0, times: 50 }
    const both = await countTogether({
      ini: { ...iniOf(ports(count), extension), 'session.serialize_handler': handler, 'memcached.sess_binary_protocol': isBinary },
      options,
      phpJob: job,
      nodeJob: { ...job, atOnce: 3 },
      processes: 2,
    })
    const workers = [...both.node, ...both.php]
    expect(workers.map(sumOf)).toEqual([50, 50, 50, 50])
    expect(both.node.map(({ errors }) => errors)).toEqual([{}, {}])
    const manager = new SessionManager(options)
    const stored = await Promise.all(ids.map(async (id) => [id, (await manager.peek<{ n: number }>(id))?.n ?? 0]))
    await manager.close()
    expect(Object.fromEntries(stored)).toEqual({ ...Object.fromEntries(ids.map((id) => [id, 0])), ...totalOf(workers) })
  })
})

describe('what PHP does to a session, and Node', () => {
  const ID = 'whatPHPdoesToASession1234'
  const options = (): object => ({ savePath: savePathOf(3), deadlineMs: 60_000, php: { extension: 'memcached' } })
  const php = (script: string, extra = {}): string => runPhp('eval.php', [script], { ini: { ...iniOf(ports(3)), ...extra } })

  async function withManager<R>(work: (manager: SessionManager) => Promise<R>): Promise<R> {
    const manager = new SessionManager(options())
    try {
      return await work(manager)
    } finally {
      await manager.close()
    }
  }

  it('a session that strict PHP has begun, with nothing in it, is taken by strict Node', async () => {
    const id = php('session_start(); echo session_id();', { 'session.use_strict_mode': 1 })
    await withManager(async (manager) => {
      await manager.run(id, (session) => void (session.data['from'] = [session.id === id, session.isNew]), { strict: true })
    })
    expect(php(`session_id('${id}'); session_start(); echo json_encode($_SESSION);`, { 'session.use_strict_mode': 1 })).toBe('{"from":[true,false]}')
  })

  it('one that Node has begun is taken by strict PHP; what Node has destroyed is gone for it', async () => {
    await withManager(async (manager) => {
      await manager.run(ID, (session) => void (session.data['a'] = 'ä'))
      expect(php(`session_id('${ID}'); session_start(); echo session_id(), $_SESSION['a'];`, { 'session.use_strict_mode': 1 })).toBe(`${ID}ä`)
      await manager.destroy(ID)
      const other = php(`session_id('${ID}'); session_start(); echo session_id();`, { 'session.use_strict_mode': 1 })
      expect(other).not.toBe(ID)
    })
  })

  it('PHP regenerates, with and without deletion, and destroys', async () => {
    await withManager(async (manager) => {
      await manager.run(ID, (session) => void (session.data['a'] = 1))
      const kept = php(`session_id('${ID}'); session_start(); session_regenerate_id(false); echo session_id();`)
      expect([await manager.peek(kept), await manager.peek(ID)]).toMatchObject([{ a: 1 }, { a: 1 }])
      const moved = php(`session_id('${ID}'); session_start(); session_regenerate_id(true); echo session_id();`)
      expect(await manager.peek(moved)).toMatchObject({ a: 1 })
      expect(await manager.peek(ID)).toBeUndefined()
      php(`session_id('${moved}'); session_start(); session_destroy();`)
      expect(await manager.peek(moved)).toBeUndefined()
    })
  })

  it('a session lives for longer than 30 days, by both', async () => {
    const sec = 40 * 86_400
    const manager = new SessionManager({ ...options(), lifetimeSec: sec })
    await manager.run(ID, (session) => void (session.data['a'] = 1))
    await manager.run(ID, () => undefined)
    expect(php(`session_id('${ID}'); session_start(); $_SESSION['b'] = 2;`, { 'session.gc_maxlifetime': sec })).toBe('')
    php(`session_id('${ID}'); session_start();`, { 'session.gc_maxlifetime': sec })
    expect(await manager.peek(ID)).toMatchObject({ a: 1, b: 2 })
    await manager.destroy(ID)
    await manager.close()
  })

  it('PHP reads and closes: Node has the session at once', async () => {
    await withManager(async (manager) => {
      await manager.run(ID, (session) => void (session.data['a'] = 1))
      expect(php(`session_id('${ID}'); session_start(['read_and_close' => true]); echo $_SESSION['a'];`)).toBe('1')
      await manager.run(ID, (session) => void (session.data['a'] = 2))
      expect(await manager.holder(ID)).toBeUndefined()
    })
  })

  it('a PHP that was killed in the middle keeps the session for sess_lock_expire, and no longer', async () => {
    await withManager(async (manager) => {
      await manager.run(ID, (session) => void (session.data['a'] = 1))
      const dying = PhpProcess.start('eval.php', [`session_id('${ID}'); session_start(); echo "held"; flush(); sleep(60);`], { ...iniOf(ports(3)), 'memcached.sess_lock_expire': 2 })
      await expect.poll(() => dying.output).toBe('held')
      await dying.kill()
      const startMs = Date.now()
      await manager.run(ID, (session) => void (session.data['a'] = 2))
      // Without the setting the lock would not end, and the wait for it would.
      expect(Date.now() - startMs).toBeLessThan(25_000)
      expect(await manager.peek(ID)).toMatchObject({ a: 2 })
    })
  })

  it('PHP that does not lock writes blindly: Node is fenced, and nothing that was acknowledged is lost by Node', async () => {
    await withManager(async (manager) => {
      await manager.run(ID, (session) => void (session.data['a'] = 1))
      const session = await manager.start(ID)
      session.data['a'] = 2
      php(`session_id('${ID}'); session_start(); $_SESSION['a'] = 3;`, { 'memcached.sess_locking': 0 })
      await expect(session.release()).rejects.toMatchObject({ code: 'LATCHKEY_FENCED' })
      expect(await manager.peek(ID)).toMatchObject({ a: 3 })
    })
  })

  it('PHP waits for a lock of Node, and has the session as Node has left it', async () => {
    await withManager(async (manager) => {
      const session = await manager.start<{ n: number }>(ID)
      session.data.n = 1
      await session.save()
      const waiting = PhpProcess.start('eval.php', [`session_id('${ID}'); echo "[1,"; flush(); session_start(); echo $_SESSION['n'], ']';`], iniOf(ports(3)))
      await expect.poll(() => waiting.output).toBe('[1,')
      session.data.n = 7
      await session.release()
      expect(await waiting.counted()).toEqual([1, 7])
    })
  })
})
