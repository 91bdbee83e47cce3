import { SessionManager } from 'latchkey'
import type { Memcached } from './memcached.js'

/** By session id: which of the servers has it. */
export type Census = ReadonlyMap<string, number>

/** Sessions that are asked for at once. */
const AT_ONCE = 200

interface Stored {
  readonly changes?: readonly number[]
}

/** The sessions as memcached has them, past the application and nginx. */
export class Store implements AsyncDisposable {
  private readonly whole: SessionManager
  private readonly each: readonly SessionManager[]

  constructor(servers: readonly Memcached[]) {
    const open = (...some: readonly Memcached[]): SessionManager =>
      new SessionManager({ savePath: some.map(({ address }) => `tcp://${address}`).join(','), deadlineMs: 10_000 })
    this.whole = open(...servers)
    this.each = servers.map((server) => open(server))
  }

  /** What is in each session; one that is not there is not in the map. */
  async changesOf(ids: readonly string[]): Promise<Map<string, readonly number[]>> {
    const found = await peeked(this.whole, ids)
    return new Map([...found].map(([id, { changes = [] }]) => [id, changes]))
  }

  /** Which server has each session now. */
  async census(ids: readonly string[]): Promise<Census> {
    const places = new Map<string, number>()
    for (const [server, manager] of this.each.entries()) {
      for (const id of (await peeked(manager, ids)).keys()) places.set(id, server)
    }
    return places
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.whole, ...this.each].map((manager) => manager.close({ graceMs: 0 })))
  }
}

async function peeked(manager: SessionManager, ids: readonly string[]): Promise<Map<string, Stored>> {
  const found = new Map<string, Stored>()
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE)
    const read = await Promise.all(some.map((id) => manager.peek<Stored>(id)))
    for (const [index, id] of some.entries()) {
      const session = read[index]
      if (session !== undefined) found.set(id, session)
    }
  }
  return found
}
