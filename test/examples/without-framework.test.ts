import { EventEmitter } from 'node:events'
import { SessionManager } from 'latchkey'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyCarts } from '../../examples/without-framework/cron.js'
import { type Job, work } from '../../examples/without-framework/queue-worker.js'
import { serve, type Socket } from '../../examples/without-framework/websocket.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { until } from '../adapters/express/site.js'
import { codeOf } from '../support/world.js'

let memcached: MemcachedServer
beforeAll(async () => {
  memcached = await MemcachedServer.start()
})
afterAll(() => memcached.stop())

const managers: SessionManager[] = []
const start = (prefix: string): SessionManager => {
  const manager = new SessionManager({ savePath: `tcp://${memcached.address}`, prefix, deadlineMs: 30_000 })
  managers.push(manager)
  return manager
}
afterAll(() => Promise.all(managers.map((manager) => manager.close())))

async function *queueOf(jobs: Job[]): AsyncGenerator<Job> {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) yield job
}

describe('examples/without-framework/queue-worker.ts', () => {
  it('six workers in two processes do all jobs of one session, each once', async () => {
    const processes = [start('queue:'), start('queue:')]
    const jobs = Array.from({ length: 60 }, (_, at): Job => ({ sessionId: 'ada', item: `item ${String(at)}` }))
    const all = jobs.map(({ item }) => item).sort()
    const signal = new AbortController().signal
    const done = await Promise.all([0, 1, 0, 1, 0, 1].map((at) => work(processes[at] ?? start('queue:'), queueOf(jobs), signal)))
    expect(done.reduce((sum, count) => sum + count)).toBe(60)
    expect(done.every((count) => count > 0)).toBe(true)
    const { bought = [] } = (await processes[0]?.peek<{ bought: string[] }>('ada')) ?? {}
    expect(bought.sort()).toEqual(all)
    expect(await processes[0]?.holder('ada')).toBeUndefined()
  })

  it('that is cancelled while it waits rejects with the reason, and leaves the session as it was', async () => {
    const [manager, other] = [start('cancel:'), start('cancel:')]
    const reason = new Error('SIGTERM')
    const stopping = new AbortController()
    {
      await using holder = await other.start<{ bought: string[] }>('ada')
      holder.data.bought = ['before']
      const failed = codeOf(work(manager, queueOf([{ sessionId: 'ada', item: 'late' }]), stopping.signal))
      await until(() => manager.stats().waiting === 1)
      stopping.abort(reason)
      expect(await failed).toBe(reason)
    }
    expect(await manager.peek('ada')).toEqual({ bought: ['before'] })
    // A poll that was under way may have got the session, for nobody: it is let go at once.
    await until(() => manager.stats().held === 0)
    expect(manager.stats().waiting).toBe(0)
    expect(await manager.holder('ada')).toBeUndefined()
  })
})

describe('examples/without-framework/cron.ts', () => {
  it('empties the carts that are abandoned, passes by those in use, and harms no visitor who comes meanwhile', async () => {
    const [manager, visitors] = [start('cron:'), start('cron:')]
    for (const [id, lastSeenMs] of [['old', 10], ['busy', 10], ['recent', 99]] as const) {
      await visitors.run<{ cart: string[]; lastSeenMs: number }>(id, ({ data }) => void Object.assign(data, { cart: ['pen'], lastSeenMs }))
    }
    await using busy = await visitors.start<{ cart: string[]; lastSeenMs: number }>('busy')
    expect(await emptyCarts(manager, 50)).toEqual({ emptied: 1, busy: 1 })
    busy.data.lastSeenMs = 100
    await busy.release()
    expect(await emptyCarts(manager, 50, 30_000)).toEqual({ emptied: 0, busy: 0 })
    const carts = await Promise.all(['old', 'busy', 'recent'].map(async (id) => (await manager.peek<{ cart: string[] }>(id))?.cart))
    expect(carts).toEqual([[], ['pen'], ['pen']])
    expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
  })
})

/** The server's end of a WebSocket. */
class FakeSocket extends EventEmitter implements Socket {
  readonly sent: string[] = []
  closedWith: number | undefined

  send(text: string): void {
    this.sent.push(text)
  }

  close(code: number): void {
    this.closedWith ??= code
    this.emit('close')
  }
}

describe('examples/without-framework/websocket.ts', () => {
  const connected = async (prefix: string): Promise<{ manager: SessionManager; socket: FakeSocket }> => {
    const manager = start(prefix)
    await manager.run<{ user: string }>('ada', ({ data }) => void (data.user = 'ada'))
    const socket = new FakeSocket()
    serve(manager, socket, 'ada')
    return { manager, socket }
  }

  it('counts ten messages that come at once, beside the pages of the same visitor, and holds nothing between them', async () => {
    const { manager, socket } = await connected('chat:')
    const pages = Array.from({ length: 10 }, () => manager.run<{ pages: number }>('ada', ({ data }) => void (data.pages = (data.pages ?? 0) + 1)))
    for (let at = 0; at < 10; at++) socket.emit('message', Buffer.from('hello'))
    await Promise.all(pages)
    await until(() => socket.sent.length === 10)
    expect(socket.sent[9]).toBe('ada (10): hello')
    expect(await manager.peek('ada')).toEqual({ user: 'ada', said: 10, pages: 10 })
    await until(() => manager.stats().held === 0)
    expect(await manager.holder('ada')).toBeUndefined()
  })

  it('is ended by a logout elsewhere, at its next message, and brings nothing back', async () => {
    const { manager, socket } = await connected('logout:')
    await manager.run('ada', (session) => session.destroy())
    socket.emit('message', 'hello')
    await until(() => socket.closedWith === 4001)
    await until(() => manager.stats().held === 0)
    expect(await manager.peek('ada')).toBeUndefined()
  })

  it('that is closed while a message waits for the session: it stops waiting', async () => {
    const { manager, socket } = await connected('closed:')
    await using holder = await start('closed:').start('ada')
    socket.emit('message', 'hello')
    await until(() => manager.stats().waiting === 1)
    socket.emit('close')
    await until(() => manager.stats().waiting === 0)
    await holder.release()
    expect([socket.sent, socket.closedWith]).toEqual([[], undefined])
  })
})
