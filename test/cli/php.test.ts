import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { jsonOf, latchkey, type Outcome } from './tool.js'

/** The tool, and lists, on sessions that a real PHP has stored on two servers. */

let servers: MemcachedServer[] = []
let manager: SessionManager
let ids: string[] = []
const addresses = (): string => servers.map(({ address }) => address).join(',')

function php(script: string, ...more: string[]): string {
  const settings = ['session.save_handler=memcached', `session.save_path="${addresses()}"`, 'memcached.sess_lock_expire=60', ...more]
  return execFileSync('php', [...settings.flatMap((setting) => ['-d', setting]), '-r', script], { timeout: 60_000 }).toString()
}

const tool = (args: readonly string[], isRead = false): Promise<Outcome> =>
  latchkey(['--php', 'memcached', ...args], { env: { LATCHKEY_SAVE_PATH: `tcp://${addresses().replace(',', ',tcp://')}` }, isRead })

beforeAll(async () => {
  servers = [await MemcachedServer.start(), await MemcachedServer.start()]
  manager = new SessionManager({ savePath: `tcp://${addresses().replace(',', ',tcp://')}`, php: { extension: 'memcached' }, deadlineMs: 30_000 })
  ids = storeSix()
})
afterAll(async () => {
  await manager.close()
  for (const server of servers) await server.stop()
})

function storeSix(): string[] {
  const store = 'session_start(); $_SESSION = ["user" => "ada", "cart" => ["pen" => 2], "raw" => "\\xff", "big" => PHP_INT_MAX]; $_SESSION["again"] = &$_SESSION["cart"]; $ids[] = session_id(); session_write_close(); session_id("");'
  return php(`for ($i = 0; $i < 6; $i++) { ${store} } echo implode(' ', $ids);`).split(' ')
}

describe('with --php', () => {
  it('inspect shows names and types, values when asked, on whichever server they are', async () => {
    expect(new Set(ids).size).toBe(6)
    const seen = new Set<unknown>()
    for (const id of ids) {
      const shown = jsonOf(await tool(['inspect', id])) as { server: unknown; ttlSec: number }
      expect(shown).toMatchObject({
        state: 'stored', isLocked: false,
        shape: { user: 'text(3)', cart: { pen: 'number' }, raw: 'bytes(1)', big: 'text(19)', again: '(the same as above)' },
      })
      expect(shown.ttlSec).toBeGreaterThan(1400)
      seen.add(shown.server)
    }
    // By chance they are all on one of the two, once in 32 times.
    const items = await Promise.all(servers.map((server) => server.stat('curr_items')))
    expect(seen.size).toBe(items.filter((count) => count > 0).length)
    const { out, exitCode } = await tool(['inspect', '--values', ids[0] ?? ''], true)
    expect(exitCode).toBe(0)
    expect(out).toContain('"raw": "base64:/w=="')
    expect(out).toContain('"big": "9223372036854775807"')
  })

  it('a session that PHP has just begun is there, and empty; one that it never had is not', async () => {
    const id = php('session_start(); echo session_id();')
    expect(jsonOf(await tool(['inspect', id]))).toMatchObject({ state: 'stored', sizeBytes: 0, shape: {} })
    expect(await tool(['inspect', 'abcdefghijklmnopqrstuvwxyz'])).toMatchObject({ exitCode: 1 })
    expect(await tool(['inspect', 'lock.abc'])).toMatchObject({ exitCode: 2 })
    await manager.destroy(id)
  })

  it('locks, holder and unlock: of Node, and of a PHP that was killed in the middle', async () => {
    const [ofNode = '', ofPhp = ''] = ids
    const held = await manager.start(ofNode, { label: 'GET /cart' })
    expect(() => php(`session_id("${ofPhp}"); session_start(); posix_kill(getmypid(), 9);`)).toThrow()
    const { locks } = jsonOf(await tool(['locks', '--ids'])) as { locks: { id: string; label?: string }[] }
    expect(locks.map(({ id, label }) => [id, label]).sort()).toEqual([[ofNode, 'GET /cart'], [ofPhp, undefined]].sort())
    expect(jsonOf(await tool(['holder', ofPhp]))).toMatchObject({ held: true })
    expect(await tool(['unlock', '--yes', ofPhp])).toMatchObject({ exitCode: 0 })
    expect(jsonOf(await tool(['holder', ofPhp]))).toMatchObject({ held: false })
    await held.release()
    expect(jsonOf(await tool(['locks']))).toEqual({ locks: [] })
    expect(jsonOf(await tool(['stats', '--count']))).toMatchObject({ servers: [{ counted: { locks: 0 } }, { counted: { locks: 0 } }] })
  })

  it('all, length and clear find PHP\'s sessions', async () => {
    const found = new Map<string, unknown>()
    for await (const { id, data } of manager.all<{ user: string }>()) found.set(id, data?.user)
    expect([...found.keys()].sort()).toEqual([...ids].sort())
    expect(new Set(found.values())).toEqual(new Set(['ada']))
    expect(await manager.clear()).toBe(6)
    expect(await manager.length()).toBe(0)
    expect(php(`session_id("${ids[0] ?? ''}"); session_start(); echo count($_SESSION);`)).toBe('0')
  })

  it('what is no such option is said', async () => {
    const args = ['inspect', '--servers', '127.0.0.1:1', 'abc']
    expect((await latchkey(['--php', 'igbinary', ...args])).err).toContain("php.extension is 'igbinary' (a string)")
    expect((await latchkey(['--php', '{', ...args])).err).toContain('--php is memcached, memcache, or')
    expect(await latchkey(['--php', '{"extension":"memcached","rnig":"modula"}', ...args])).toMatchObject({ exitCode: 2 })
  })

  it('copy takes the sessions to more servers, where PHP goes on with them; to disk and back; and another run finds them there', async () => {
    const more = [await MemcachedServer.start(), await MemcachedServer.start(), await MemcachedServer.start()]
    const disk = mkdtempSync(join(tmpdir(), 'latchkey-php-copy-'))
    try {
      const [from, to] = [addresses(), more.map(({ address }) => address).join(',')].map((list) => `tcp://${list.replaceAll(',', ',tcp://')}`) as [string, string]
      await manager.clear()
      const six = storeSix()
      const empty = php('session_start(); echo session_id();')
      const copy = async (...paths: string[]): Promise<unknown> => jsonOf(await latchkey(['copy', '--php', 'memcached', ...paths]))
      expect(await copy(from, to)).toMatchObject({ sessions: 7, copied: 7, failed: 0 })
      expect(await copy(from, to)).toMatchObject({ copied: 0, same: 7 })
      const there = `session.save_path="${more.map(({ address }) => address).join(',')}"`
      for (const id of six) {
        expect(php(`session_id("${id}"); session_start(); echo $_SESSION["user"], ++$_SESSION["cart"]["pen"];`, there, 'session.use_strict_mode=1')).toBe('ada3')
      }
      expect(php(`session_id("${empty}"); session_start(); echo session_id();`, there, 'session.use_strict_mode=1')).toBe(empty)
      // Kept as they are there, but for the last one, in which nothing was stored.
      expect(await copy(from, to)).toMatchObject({ kept: 6, same: 1 })
      expect(await copy(to, `file:${disk}`)).toMatchObject({ copied: 7 })
      for (const server of more) await server.restart()
      expect(await copy(`file:${disk}`, to)).toMatchObject({ copied: 7 })
      expect(php(`session_id("${six[0] ?? ''}"); session_start(); echo $_SESSION["cart"]["pen"];`, there)).toBe('3')
      await manager.destroy(empty)
      expect(await copy('--mirror', from, to)).toMatchObject({ copied: 6, removed: 1 })
    } finally {
      for (const server of more) await server.stop()
      rmSync(disk, { recursive: true, force: true })
    }
  })

  it('copy refuses sessions whose keys nothing tells from others', async () => {
    expect(await latchkey(['copy', '--php', 'memcache', 'tcp://127.0.0.1:1', 'tcp://127.0.0.1:2'])).toMatchObject({ exitCode: 2, err: expect.stringContaining('have no prefix') as string })
  })
})
