import { setTimeout as sleep } from 'node:timers/promises'
import { once, setMaxListeners } from 'node:events'
import { createServer } from 'node:http'
import { SessionManager } from 'latchkey'
import { type OwnMemcached, startMemcached } from '../cluster/own-memcached.js'
import { shop } from '../express/shop.js'
import { Street, type Tally, Visitor } from './visitor.js'

export type Crowd = Readonly<Record<'users' | 'seconds', number>>

/** What happens to one of three nodes, while everybody clicks: each step at its share of the scene's time. */
export interface Scene {
  readonly name: string
  readonly about: string
  /** Each session on all three nodes; else on one of them. */
  readonly isReplicated: boolean
  readonly steps: readonly (readonly [share: number, step: Step])[]
}

type Step = 'kill' | 'start' | 'SIGSTOP' | 'SIGCONT'

export const SCENES: readonly Scene[] = [
  { name: 'killed', about: 'a node is killed and stays away', isReplicated: true, steps: [[0.3, 'kill']] },
  { name: 'stale', about: 'a node stands still, and comes back with what it had', isReplicated: true, steps: [[0.25, 'SIGSTOP'], [0.6, 'SIGCONT']] },
  { name: 'empty', about: 'a node is killed, and comes back empty', isReplicated: true, steps: [[0.25, 'kill'], [0.5, 'start']] },
  { name: 'ring', about: 'the same without replicas: each session on one node', isReplicated: false, steps: [[0.25, 'kill'], [0.5, 'start']] },
]

const NODES = 3
/** Between a visitor's clicks, on average. */
const THINK_MS = 250
const MOST_AT_ONCE = 3
/** A session may be held by a click whose answer nobody waited for. */
const LOOKS = 20
const LOOK_AGAIN_MS = 250

/** Whom a scene tells what happens. */
export interface Audience {
  /** The nodes' addresses, before anybody clicks. */
  begins(addresses: readonly string[]): void
  /** Once a second. */
  goesOn(tally: Tally): void
}

/** Plays a scene on three nodes of its own. */
export async function play(scene: Scene, crowd: Crowd, signal: AbortSignal, audience: Audience): Promise<Tally> {
  const nodes = await Promise.all(Array.from({ length: NODES }, () => Node.start(signal)))
  try {
    audience.begins(nodes.map(({ address }) => address))
    const servers = nodes.map(({ address }) => `tcp://${address}`).join(',')
    const manager = new SessionManager({ savePath: scene.isReplicated ? `${servers}?replicas=${String(NODES)}` : servers })
    // 'test': Express prints no stack for what is refused.
    const server = createServer(shop(manager).set('env', 'test')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const street = new Street(typeof address === 'object' && address !== null ? address.port : 0)
    try {
      await clickThrough(scene, crowd, { street, victim: nodes[0], signal, audience })
      return street.tally
    } finally {
      street.close()
      server.closeAllConnections()
      server.close()
      await manager.close({ graceMs: 1000 })
    }
  } finally {
    await Promise.all(nodes.map((node) => node.kill()))
  }
}

interface Stage {
  readonly street: Street
  readonly victim: Node | undefined
  readonly signal: AbortSignal
  readonly audience: Audience
}

async function clickThrough({ steps }: Scene, { users, seconds }: Crowd, { street, victim, signal, audience }: Stage): Promise<void> {
  const visitors = Array.from({ length: users }, (_, at) => new Visitor(street, `visitor${String(at + 1)}`))
  await Promise.all(visitors.map((visitor) => visitor.logIn()))
  street.open()
  const closing = new AbortController()
  const over = AbortSignal.any([signal, closing.signal])
  // Everybody listens; that is no leak.
  setMaxListeners(0, over)
  const ending = setTimeout(() => {
    closing.abort()
  }, seconds * 1000)
  const telling = setInterval(() => {
    audience.goesOn(street.tally)
  }, 1000)
  try {
    const happening = happen(steps, seconds * 1000, victim, signal)
    await Promise.all([happening, ...visitors.map((visitor) => walk(visitor, over))])
  } finally {
    clearInterval(telling)
    clearTimeout(ending)
  }
  signal.throwIfAborted()
  await Promise.all(visitors.map((visitor) => look(visitor, signal)))
}

async function happen(steps: Scene['steps'], forMs: number, victim: Node | undefined, signal: AbortSignal): Promise<void> {
  const beganMs = performance.now()
  for (const [share, step] of steps) {
    await sleep(share * forMs - (performance.now() - beganMs), undefined, { signal })
    await victim?.do(step, signal)
  }
}

async function walk(visitor: Visitor, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await sleep(Math.random() * 2 * THINK_MS, undefined, { signal: over }).catch(() => undefined)
    if (over.aborted) return
    const clicks = 1 + Math.floor(Math.random() * MOST_AT_ONCE)
    await Promise.all(Array.from({ length: clicks }, () => visitor.click()))
  }
}

async function look(visitor: Visitor, signal: AbortSignal): Promise<void> {
  for (let left = LOOKS; left > 0; left--) {
    if (await visitor.look()) return
    await sleep(LOOK_AGAIN_MS, undefined, { signal })
  }
  throw new Error('The shop has no answer, seconds after the last click.')
}

/** One memcached, which can be killed and come back, empty, under its old address. */
class Node {
  private constructor(
    readonly address: string,
    private memcached: OwnMemcached,
  ) {}

  static async start(signal: AbortSignal): Promise<Node> {
    const memcached = await startMemcached(signal)
    return new Node(memcached.address, memcached)
  }

  async do(step: Step, signal: AbortSignal): Promise<void> {
    if (step === 'kill') await this.kill()
    else if (step === 'start') this.memcached = await startMemcached(signal, Number(this.address.replace(/.*:/, '')))
    else this.memcached.signal(step)
  }

  async kill(): Promise<void> {
    await this.memcached.stop()
  }
}
