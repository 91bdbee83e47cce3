/**
 * Finds processes that use the same servers by different lists. All processes that share sessions must name the same
 * servers in the same words, because each computes the server of a session from its list: two lists would silently
 * split the sessions between them. So each process leaves the fingerprint of its list on every server that it uses, and
 * compares it with the fingerprint that another process has left there.
 */
import { nodeId, type ServerAddress } from './save-path.js'
import type { Clock, Timer } from '../../system/clock.js'
import { shown } from '../socket/server-errors.js'
import { type Command, type Reply, valueBytes, type WireWarning } from '../wire.js'
import { murmur3 } from './rendezvous.js'

/** The first look comes this late, so that short scripts leave nothing on the server. */
const FIRST_LOOK_MS = 1000
const LOOK_EVERY_MS = 60_000

/** Longer than the time between two looks, and short enough that a list that nobody uses any more is soon forgotten. */
const TTL_SEC = 300

/** The fingerprint of a list. All lists of one server have the same: it keeps every session, whatever it is called. */
export function fingerprintOf(servers: readonly ServerAddress[]): string {
  if (servers.length === 1) return '1 server'
  const names = servers.map((server) => `${nodeId(server)}*${String(server.weight)}`).sort()
  return `${String(servers.length)} servers, ${murmur3(names.join(' '), 0).toString(16).padStart(8, '0')}`
}

/** The part of a node that is needed here. */
export interface ListedNode {
  readonly name: string
  /** Whether a connection is open. Without one the node is left out: no connection is opened just for a look. */
  readonly isConnected: boolean
  flight(commands: readonly Command[]): Promise<readonly Reply[]>
}

export interface ServerListsOptions {
  readonly nodes: readonly ListedNode[]
  readonly fingerprint: string
  /** The key under which the fingerprint is left. */
  readonly key: string
  readonly clock: Clock
  readonly warn: (warning: WireWarning) => void
}

/** Looks once a minute in the background, and warns once of each other list. */
export class ServerLists {
  readonly #told = new Set<string>()
  #timer: Timer

  readonly #options: ServerListsOptions

  constructor(options: ServerListsOptions) {
    this.#options = options
    this.#timer = this.#next(FIRST_LOOK_MS)
  }

  close(): void {
    this.#timer.cancel()
  }

  #next(delayMs: number): Timer {
    const look = (): void => {
      this.#timer = this.#next(LOOK_EVERY_MS)
      for (const node of this.#options.nodes) if (node.isConnected) void this.#look(node)
    }
    return this.#options.clock.setTimer(look, delayMs, { background: true })
  }

  /**
   * Looks at one server. A failure is ignored: requests that need the server report it, and the next look comes anyway.
   */
  async #look(node: ListedNode): Promise<void> {
    const { key, fingerprint } = this.#options
    const value = Buffer.from(fingerprint)
    const set = { op: 'set', key, value, ttlSec: TTL_SEC } as const
    try {
      const [read] = await node.flight([{ op: 'get', key }, set])
      if (read?.status === 'ok' && read.value !== undefined) this.#compare(node, valueBytes(read.value).toString('latin1'))
    } catch {
      return
    }
  }

  #compare(node: ListedNode, found: string): void {
    const { fingerprint, warn } = this.#options
    if (found === fingerprint || this.#told.has(found)) return
    this.#told.add(found)
    warn({
      code: 'LATCHKEY_SERVER_LISTS_DIFFER',
      node: node.name,
      message:
        `Another process uses ${node.name} with another list of servers (${shown(found)}; this one: ${fingerprint}). ` +
        'Sessions are split between the two lists: visitors are logged out, and two requests may hold one session. ' +
        'Give every process the same servers in the same words (127.0.0.1 and localhost are two), and change the list ' +
        'as docs/guide/changing-servers.md says.',
    })
  }
}
