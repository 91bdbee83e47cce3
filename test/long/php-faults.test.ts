import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { SessionManager } from 'latchkey'
import { MemcachedServer } from '../support/memcached-server.js'
import { iniOf, PhpProcess, runPhp } from '../support/php.js'
import { SessionProcess } from '../support/session-process.js'

let server: MemcachedServer
let manager: SessionManager
let id = ''
let count = 0

beforeAll(async () => {
  server = await MemcachedServer.start()
  manager = new SessionManager(options())
})
afterAll(async () => {
  await manager.close()
  await server.stop()
})
beforeEach(async () => {
  id = `faultsOfBothSides${String(++count)}`
  await manager.run(id, (session) => void (session.data['n'] = 1))
})

const options = () => ({ savePath: `tcp://127.0.0.1:${String(server.port)}`, leaseSec: 2, php: { extension: 'memcached', standBackMs: 20 } }) as const
const increment = (): string =>
  runPhp('eval.php', [`session_id('${id}'); if (session_start()) { $_SESSION['n']++; session_write_close(); echo $_SESSION['n']; }`], { ini: iniOf([server.port]) })

it('a Node that was killed while it held the session: PHP has it when the lease is over, and nothing was stored', async () => {
  const dying = await SessionProcess.start(options())
  expect(await dying.call({ do: 'read', id })).toEqual({ value: 'n|i:1;' })
  await dying.kill()
  const startMs = Date.now()
  expect(increment()).toBe('2')
  expect(Date.now() - startMs).toBeLessThan(10_000)
})

it('a Node that stood still past its lease, while PHP wrote: its write is refused, and that of PHP stays', async () => {
  const stopped = await SessionProcess.start(options())
  await stopped.call({ do: 'read', id })
  stopped.signal('SIGSTOP')
  expect(increment()).toBe('2')
  stopped.signal('SIGCONT')
  const result = await stopped.call({ do: 'write', id, data: 'n|i:7;' })
  expect(result).toMatchObject({ code: expect.stringMatching(/^LATCHKEY_(FENCED|LOCK_LOST)$/) as unknown })
  expect(await manager.peek(id)).toMatchObject({ n: 2 })
  await stopped.kill()
})

it('a PHP that was killed while it held the session: Node has it after sess_lock_expire', async () => {
  const script = `session_id('${id}'); session_start(); $_SESSION['n'] = 9; echo "held"; flush(); sleep(60);`
  const dying = PhpProcess.start('eval.php', [script], { ...iniOf([server.port]), 'memcached.sess_lock_expire': 2 })
  await expect.poll(() => dying.output).toBe('held')
  await dying.kill()
  await manager.run<{ n: number }>(id, (session) => void (session.data.n = (session.data.n ?? 0) + 1))
  expect(await manager.peek(id)).toMatchObject({ n: 2 })
})

it('a PHP that outlives its lock writes over what Node has stored, and Node that holds the session then is fenced', async () => {
  const script = `session_id('${id}'); session_start(); echo "[1"; flush(); sleep(8); $_SESSION['n'] = 50; session_write_close(); echo ']';`
  const slow = PhpProcess.start('eval.php', [script], { ...iniOf([server.port]), 'memcached.sess_lock_expire': 1 })
  await expect.poll(() => slow.output).toBe('[1')
  const session = await manager.start<{ n: number }>(id)
  session.data.n = 7
  await slow.counted()
  await expect(session.release()).rejects.toMatchObject({ code: expect.stringMatching(/^LATCHKEY_(FENCED|LOCK_LOST)$/) as unknown })
  expect(await manager.peek(id)).toMatchObject({ n: 50 })
})

it('memcached is restarted while both work: typed errors, and both go on', async () => {
  const session = await manager.start<{ n: number }>(id)
  session.data.n = 5
  await server.restart()
  await expect(session.release()).rejects.toMatchObject({ code: expect.stringMatching(/^LATCHKEY_/) as unknown })
  expect(await manager.peek(id)).toBeUndefined()
  expect(increment()).toBe('1')
  await manager.run<{ n: number }>(id, (next) => void (next.data.n = (next.data.n ?? 0) + 1))
  expect(increment()).toBe('3')
})
