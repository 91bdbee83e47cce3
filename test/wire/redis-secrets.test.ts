/** What SECURITY.md promises of errors: no id, no token, no record and no password is in one, however deep one looks. */
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { openWireOver } from '../../src/wire/open-wire.js'
import { plainError } from '../../src/wire/redis/client/plain-error.js'
import { everythingIn } from '../support/everything-in.js'
import { failureOf } from '../support/flight-failure.js'
import { FaultProxy } from '../support/proxy.js'
import { CLIENTS, type ForeignClient } from '../support/redis-clients.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'

const ID = 'SECRET-ID-0123456789abcdef'
const CARD = 'CARD4111'
const LOGIN = { username: 'shop', password: 'PASSWORD-OF-SHOP' }

/** The error of a session that is changed while something is wrong. */
async function errorOf(manager: SessionManager, meanwhile: () => unknown = () => undefined): Promise<Error> {
  const error: unknown = await manager.run(ID, async ({ data }) => {
    data['card'] = CARD
    await meanwhile()
  }).then(() => new TypeError('nothing was wrong'), (failure: unknown) => failure)
  if (!(error instanceof Error) || error instanceof TypeError) throw error
  return error
}

function expectNoSecretIn(error: Error): void {
  const all = everythingIn(error)
  for (const secret of [ID, CARD, LOGIN.password]) expect(all).not.toContain(secret)
  // The token of a lock, which is in the arguments, is another each time.
  expect(all).not.toMatch(/^args$/m)
}

for (const { name, make } of CLIENTS) {
  describe.skipIf(!hasRedis || make === undefined)(`an error of ${name}`, () => {
    const clientTo = async (port: number): Promise<ForeignClient> => {
      if (make === undefined) throw new Error(`${name} is not installed`)
      return make.alone('127.0.0.1', port, LOGIN)
    }
    const serverWith = async (args: readonly string[] = []): Promise<RedisProcess> =>
      RedisProcess.start({ args: [...args, '--user', LOGIN.username, 'on', `>${LOGIN.password}`, '~*', '&*', '+@all'] })
    const managerOf = ({ client }: ForeignClient, deadlineMs = 20_000): SessionManager => new SessionManager({ client, deadlineMs })

    it('of a command that the user may not use: the reason is there, the command is not', async () => {
      await using server = await serverWith()
      const foreign = await clientTo(server.port)
      const manager = managerOf(foreign)
      await manager.run(ID, ({ data }) => void (data['card'] = CARD))
      const forbid = (): Promise<string> => server.command(`ACL SETUSER ${LOGIN.username} -evalsha -eval`)
      const atTheEnd = await errorOf(manager, forbid)
      const atTheStart = await errorOf(manager)
      for (const error of [atTheEnd, atTheStart]) {
        expectNoSecretIn(error)
        expect(everythingIn(error)).toMatch(/no permissions|NOPERM/i)
      }
      await Promise.all([manager.close({ graceMs: 0 }), foreign.close()])
    })

    it('of a command that the server does not know, and repeats with its arguments', async () => {
      await using server = await serverWith(['--rename-command', 'EVALSHA', ''])
      const foreign = await clientTo(server.port)
      const manager = managerOf(foreign)
      const error = await errorOf(manager)
      expectNoSecretIn(error)
      expect(everythingIn(error)).toMatch(/unknown command/i)
      await Promise.all([manager.close({ graceMs: 0 }), foreign.close()])
    })

    it('of a connection that breaks before the answer', async () => {
      await using server = await serverWith()
      await using proxy = await FaultProxy.start(server)
      const foreign = await clientTo(proxy.port)
      const wire = openWireOver(foreign.client, { clock: systemClock, flightMs: 20_000, connections: 1 })
      await wire.flight('r', [{ op: 'get', key: ID }])
      void proxy.next('rst').catch(() => undefined)
      expectNoSecretIn(await failureOf(wire, [{ op: 'add', key: ID, value: CARD, ttlSec: 9 }]))
      await Promise.all([wire.close(), foreign.close()])
    })

    // glide has no connection of its own, and its client's stays logged in.
    it.skipIf(name === 'valkey-glide')('of a password that is wrong by now', async () => {
      await using server = await serverWith()
      const foreign = await clientTo(server.port)
      // node-redis would try until it is over.
      const manager = managerOf(foreign, 2000)
      await server.command(`ACL SETUSER ${LOGIN.username} resetpass >another`)
      const error = await errorOf(manager)
      expectNoSecretIn(error)
      expect(error).toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE' })
      await Promise.all([manager.close({ graceMs: 0 }), foreign.close()])
    })
  })
}

describe.skipIf(!hasRedis)('an error of a server of the save path', () => {
  it('that does not know a command, and repeats its arguments', async () => {
    await using server = await RedisProcess.start({ args: ['--rename-command', 'GET', '', '--rename-command', 'SET', ''] })
    const manager = new SessionManager({ savePath: server.savePath, deadlineMs: 20_000 })
    const error = await errorOf(manager)
    expectNoSecretIn(error)
    expect(everythingIn(error)).toMatch(/unknown command 'SET'/i)
    await manager.close()
  })
})

describe('the copy of an error', () => {
  const failing = (error: Error, fields: object): Error => Object.assign(error, { command: { name: 'auth', args: [LOGIN.password] } }, fields)

  it('says what failed and where, and has no command, however deep', () => {
    const refused = failing(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED', name: 'SocketError' })
    const all = failing(new AggregateError([refused], ''), {})
    const error = failing(new Error('all of them\n    at a place of its own'), { lastNodeError: failing(new Error('one'), { cause: all }) })
    const copy = plainError(error)
    expectNoSecretIn(copy)
    expect(copy).toMatchObject({ message: 'all of them?    at a place of its own', cause: { message: 'one' } })
    expect(copy.stack).toContain(import.meta.filename)
    expect(copy.stack).not.toContain('\n    at a place of its own')
    expect(everythingIn(copy)).toContain('SocketError: connect ECONNREFUSED 127.0.0.1:1')
    expect(everythingIn(copy)).toContain('ECONNREFUSED')
  })

  it('ends where errors are behind each other in a circle', () => {
    const error = new Error('round')
    error.cause = new Error('and round', { cause: error })
    expect(everythingIn(plainError(error))).toContain('and round')
  })

  it('of what is no error', () => {
    expect(plainError('just a text').message).toBe('just a text')
  })
})
