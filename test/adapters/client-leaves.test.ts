/** Clients that leave at every stage of a request: what must be so with every framework. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { toHttpError } from '../../src/adapters/http/http-error.js'
import { ClientGoneError } from '../../src/request/leaving.js'
import { read, section, testsNamedIn } from '../support/pages.js'
import type { Browser } from './express/browser.js'
import { asksForLock, storesRecord } from './express/tap-wire.js'
import { barrier, codesOf, endPlacesAfterEach, type Place, PLACES, type PlaceOptions, type Route, until } from './places.js'
import { ask, endStalledAfterEach, requestOf } from './slow-request.js'

endPlacesAfterEach()
endStalledAfterEach()

const HOW: readonly [string, (socket: Socket) => void][] = [
  ['reset', (socket) => void socket.resetAndDestroy()],
  ['closed', (socket) => void socket.destroy()],
]

/** A route whose handler says where it is, and goes on when it is told. */
class Stage {
  readonly entered = barrier()
  readonly goOn = barrier()
  readonly left = barrier()
  /** What the handler was thrown by its change. */
  readonly thrown: unknown[] = []
  runs = 0

  readonly route: Route = async (session) => {
    this.runs++
    this.entered.open()
    await this.goOn.passed
    try {
      session.data['n'] = 1
    } catch (error) {
      this.thrown.push(error)
    }
    return {}
  }

  /** Notes when Node tells that the client has left. */
  watch({ server }: Place): void {
    // Before the framework, which changes the url of a request on its way.
    server.prependListener('request', ({ url }, res) => {
      if (url === '/it') res.once('close', () => this.left.open())
    })
  }
}

interface Staged {
  readonly place: Place
  readonly stage: Stage
}

const forEver = (): Promise<never> => new Promise(() => undefined)

describe.each(PLACES)('%s: the client leaves', (name, start) => {
  const isFetch = name.endsWith('Session')

  async function staged(options?: PlaceOptions): Promise<Staged> {
    const stage = new Stage()
    const place = await start({ '/it': stage.route }, options)
    stage.watch(place)
    return { place, stage }
  }

  it.skipIf(isFetch)('while a middleware above the session takes its time: nothing is waited for, and nothing held', async () => {
    const entered = barrier()
    const above = async (response: ServerResponse): Promise<void> => {
      entered.open()
      await once(response, 'close')
    }
    const { place, stage } = await staged({ above })
    const visitor = await place.visitor()
    const socket = await ask(visitor)
    await entered.passed
    socket.destroy()
    await until(() => place.told().length === 1)
    expect(place.told()).toEqual(['LATCHKEY_CLIENT_GONE'])
    expect(await place.isFree(visitor.sid)).toBe(true)
    expect(stage.runs).toBe(0)
  })

  it.each(HOW)('before the lock has come: it is let go of as it comes, and no handler runs; %s', async (_how, leave) => {
    const { place, stage } = await staged()
    const visitor = await place.visitor()
    const lock = place.wire?.stop(asksForLock)
    const socket = await ask(visitor)
    await lock?.arrived
    leave(socket)
    await stage.left.passed
    lock?.go()
    await until(() => place.told().length === 1)
    expect(place.told()).toEqual(['LATCHKEY_CLIENT_GONE'])
    await until(() => place.isFree(visitor.sid))
    expect(stage.runs).toBe(0)
  })

  it.each(HOW)('while it waits for the lock: it stops waiting, and no handler runs; %s', async (_how, leave) => {
    const { place, stage } = await staged()
    const visitor = await place.visitor()
    const first = visitor.get('/it')
    await stage.entered.passed
    const socket = await ask(visitor)
    await until(() => place.manager.stats().waiting === 1)
    leave(socket)
    await until(() => place.manager.stats().waiting === 0)
    await until(() => place.told().length === 1)
    expect(place.told()).toEqual(['LATCHKEY_CLIENT_GONE'])
    stage.goOn.open()
    expect((await first).status).toBe(200)
    expect(stage.runs).toBe(1)
  })

  it.each(HOW)('while the handler runs, which ends later: what it did is stored; %s', async (_how, leave) => {
    const { place, stage } = await staged()
    const visitor = await place.visitor()
    const socket = await ask(visitor)
    await stage.entered.passed
    leave(socket)
    await stage.left.passed
    // Held on behalf of the handler: the next request of the browser waits for it.
    const next = visitor.get('/show')
    await until(() => place.manager.stats().waiting === 1)
    stage.goOn.open()
    expect(JSON.parse((await next).body)).toMatchObject({ user: 'ada', n: 1 })
    expect([place.told(), stage.thrown]).toEqual([[], []])
  })

  it('while the handler runs, which never ends: let go after clientGoneMs, and not before; what comes too late is not stored, and told', async () => {
    const { place, stage } = await staged({ clientGoneMs: 60 })
    const visitor = await place.visitor()
    const socket = await ask(visitor)
    await stage.entered.passed
    const leftMs = performance.now()
    socket.destroy()
    await stage.left.passed
    await until(() => place.isFree(visitor.sid))
    expect(performance.now() - leftMs).toBeGreaterThan(50)
    stage.goOn.open()
    const told = (): readonly string[] => [...place.told(), ...codesOf(stage.thrown)]
    await until(() => told().length > 0)
    // express-session calls its store once more, where the others' sessions refuse to be changed.
    expect(new Set(told())).toEqual(new Set([name.startsWith('Express') ? 'LATCHKEY_MISUSE' : 'LATCHKEY_READ_ONLY']))
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada' })
  })

  /** Leaves while the store is on its way, which then goes on. */
  async function leaveWhileStoring({ place, stage }: Staged, visitor: Browser): Promise<void> {
    const save = place.wire?.stop(storesRecord)
    const socket = await ask(visitor)
    stage.goOn.open()
    await save?.arrived
    socket.destroy()
    await stage.left.passed
    save?.go()
  }

  it('while the session is stored: it is', async () => {
    const { place, stage } = await staged()
    const visitor = await place.visitor()
    await leaveWhileStoring({ place, stage }, visitor)
    await until(() => place.isFree(visitor.sid))
    expect(await place.stored(visitor.sid)).toEqual({ user: 'ada', n: 1 })
    expect(place.told()).toEqual([])
  })

  it('while the session is stored, which fails: somebody is told, although there is nobody to answer', async () => {
    const { place, stage } = await staged()
    const visitor = await place.visitor()
    place.wire?.refuse(storesRecord)
    await leaveWhileStoring({ place, stage }, visitor)
    await until(() => place.told().length === 1)
    expect(place.told()).toEqual(['LATCHKEY_SERVER_REFUSED'])
    await until(() => place.isFree(visitor.sid))
  })

  it('with a new session: what its handler stores later is stored', async () => {
    const { place, stage } = await staged()
    const socket = await ask(place.browser())
    await stage.entered.passed
    socket.destroy()
    await stage.left.passed
    const save = place.wire?.stop(storesRecord)
    stage.goOn.open()
    await save?.arrived
    save?.go()
    await until(() => place.isFree())
    expect(place.wire?.flights.map((commands) => commands.map(({ op }) => op))).toEqual([['add', 'get'], ['add', 'cad']])
    expect([place.told(), stage.thrown]).toEqual([[], []])
  })

  // What a fetch handler is told of its client, its server decides.
  it.skipIf(isFetch)('and its request is pipelined behind another one, so that Node does not tell: let go after clientGoneMs', async () => {
    const place = await start({ '/it': forEver }, { clientGoneMs: 20 })
    const [one, other] = [await place.visitor(), await place.visitor()]
    const socket = await ask(one)
    socket.write(requestOf(other))
    await until(() => place.manager.stats().held === 2)
    socket.destroy()
    await until(() => place.isFree(one.sid, other.sid))
  })
})

it('who logs that a client has gone finds a status of its own error', () => {
  expect(toHttpError(new ClientGoneError('gone'))).toMatchObject({ code: 'LATCHKEY_CLIENT_GONE', status: 503, headers: {} })
})

it('docs/reference/adapters.md: each row of the table names a test that is here', () => {
  const named = testsNamedIn(section('docs/reference/adapters.md', '### When the client leaves'))
  expect(named).toHaveLength(6)
  const source = read('test/adapters/client-leaves.test.ts')
  for (const name of named) expect(source).toContain(`('${name}'`)
})
