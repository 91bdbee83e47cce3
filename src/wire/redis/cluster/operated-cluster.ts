/** A Redis Cluster as its operators see it: one store, whose primaries are told of one by one. */
import type { OpenOptions } from '../../open-options.js'
import type { Examination, Figures, Finding, OperatedNode, OperatedStore, OperateOptions } from '../../operated-store.js'
import { placeName } from '../../socket/address.js'
import type { Wire } from '../../wire.js'
import { ask } from '../ask.js'
import { asking, distinct, flightMsOf, ttlSecIn } from '../asking.js'
import { aboutOf, factsOf, memoryOf, notReached } from '../operated-redis.js'
import { createRedisNode } from '../redis-wire.js'
import { peerOf } from '../save-path.js'
import { findingsOf, type ServerFacts } from '../server-rules.js'
import { REDIS } from '../traits.js'
import { ClusterNodes } from './cluster-nodes.js'
import type { Seeds } from './cluster-path.js'
import { keysOfCluster } from './cluster-scan.js'
import { createClusterWire } from './cluster-wire.js'
import { slotOf, SLOTS } from './slot.js'

export function operateCluster(seeds: Seeds, options: OperateOptions): OperatedStore {
  const node = new OperatedCluster(seeds, options)
  return { nodes: [node], nodeOf: () => node }
}

/** What a primary says of itself. */
interface Told {
  readonly name: string
  readonly facts: ServerFacts
}

class OperatedCluster implements OperatedNode {
  readonly name: string
  readonly #seeds: Seeds
  readonly #options: OperateOptions

  constructor(seeds: Seeds, options: OperateOptions) {
    const [first, ...more] = seeds
    this.#seeds = seeds
    this.#options = options
    this.name = [peerOf(first).name, ...more.map(placeName)].join(',')
  }

  open(options: OpenOptions): Wire {
    return createClusterWire({ ...options, seeds: this.#seeds })
  }

  keys(prefix: string): Promise<readonly string[]> {
    return this.#asking((nodes) => distinct(keysOfCluster(nodes, prefix)))
  }

  ttlSec(key: string): Promise<number | undefined> {
    return this.#asking(async (nodes) => {
      await nodes.refresh()
      const owner = nodes.ownerOf(slotOf(key))
      return owner === undefined ? undefined : ttlSecIn(await ask(owner, 'PTTL', key))
    })
  }

  async figures(): Promise<Figures> {
    const all = await this.#asking(toldBy)
    return {
      data: dataOf(all),
      about: aboutAll(all),
      rows: all.map(({ name, facts }) => [
        name,
        `${aboutOf(facts)}; ${memoryOf(facts)}; ${facts.evicted} evictions; ${facts.connections.now} of ${facts.connections.limit} connections; ${facts.replicas} replicas`,
      ]),
    }
  }

  async examine(): Promise<Examination> {
    const [{ tls, credentials }] = this.#seeds
    const access = { tls: tls !== undefined, authenticated: credentials !== undefined }
    try {
      const { all, served } = await this.#asking(async (nodes) => {
        const told = await toldBy(nodes)
        return { all: told, served: Array.from({ length: SLOTS }, (_, slot) => nodes.ownerOf(slot)).filter((owner) => owner !== undefined).length }
      })
      const findings = all.flatMap(({ name, facts }) => findingsOf(facts).map((one) => ({ ...one, message: `${name}: ${one.message}` })))
      return { data: { ...access, ...dataOf(all), slots: served }, about: aboutAll(all), findings: [...slotFindings(served), ...findings], hasAnswered: true }
    } catch (error) {
      this.#options.signal.throwIfAborted()
      return { data: access, about: `${REDIS.name} cluster`, findings: [notReached(error)], hasAnswered: false }
    }
  }

  /** Who has which slot is the cluster's own word, so processes cannot differ in it. */
  examineUse(): Promise<readonly Finding[]> {
    return Promise.resolve([])
  }

  notReached(error: unknown): Finding {
    return notReached(error)
  }

  /** Over connections of its own, which are closed when `question` is answered. */
  #asking<T>(question: (nodes: ClusterNodes) => Promise<T>): Promise<T> {
    const { clock } = this.#options
    const flightMs = flightMsOf(this.#options)
    const makeNode = (server: Seeds[0]) => createRedisNode({ server, clock, flightMs, connections: 1 })
    return asking(this.#options, () => new ClusterNodes({ seeds: this.#seeds, clock, flightMs, makeNode }), question)
  }
}

async function toldBy(nodes: ClusterNodes): Promise<readonly Told[]> {
  await nodes.refresh()
  return Promise.all(nodes.primaries.map(async (node) => ({ name: node.name, facts: await factsOf(node) })))
}

const dataOf = (all: readonly Told[]) => ({
  primaries: all.map(({ name, facts: { version, uptimeSec, memory, evicted, connections, replicas, appendOnly } }) => ({
    server: name,
    version,
    uptimeSec,
    memory,
    evicted,
    connections,
    replicas,
    appendOnly,
  })),
})

function aboutAll(all: readonly Told[]): string {
  const kinds = new Set(all.map(({ facts: { product, version } }) => `${product} ${version}`))
  return `a cluster of ${all.length} primaries, ${[...kinds].join(', ')}`
}

function slotFindings(served: number): Finding[] {
  if (served === SLOTS) return []
  return [
    {
      code: 'slots-unserved',
      severity: 'problem',
      message: `${SLOTS - served} of the cluster's ${SLOTS} slots are served by no node: sessions in them are refused, and with cluster-require-full-coverage all are.`,
      advice: 'Give them to a node: redis-cli --cluster fix, or CLUSTER ADDSLOTSRANGE.',
    },
  ]
}
