/** A real Redis Cluster for tests: three primaries, with replicas if wanted, each a redis-server of its own. */
import { freePorts } from '../../examples/deployment/ports.js'
import { SLOTS } from '../../src/wire/redis/cluster/slot.js'
import type { Certificate } from './certificate.js'
import { RedisProcess } from './redis-server.js'
import { until } from './until.js'

export interface ClusterOptions {
  /** Of each primary. Default 0. */
  readonly replicas?: number
  /** A node that is silent for as long is taken for dead. Default 2000. */
  readonly nodeTimeoutMs?: number
  readonly args?: readonly string[]
  /** The cluster speaks TLS with it; the tests' own commands stay plain. */
  readonly certificate?: Certificate
}

const PRIMARIES = 3

export class RedisCluster implements AsyncDisposable {
  private constructor(readonly primaries: readonly RedisProcess[], readonly replicas: readonly RedisProcess[]) {}

  /** Resolves when all of it serves. */
  static async start({ replicas = 0, ...options }: ClusterOptions = {}): Promise<RedisCluster> {
    const all = await Promise.all(Array.from({ length: PRIMARIES * (1 + replicas) }, () => startNode(options)))
    const nodes = all.map(({ node }) => node)
    const cluster = new RedisCluster(nodes.slice(0, PRIMARIES), nodes.slice(PRIMARIES))
    await Promise.all(nodes.map((node, index) => node.command(`CLUSTER SET-CONFIG-EPOCH ${String(index + 1)}`)))
    const share = Math.ceil(SLOTS / PRIMARIES)
    await Promise.all(
      cluster.primaries.map((node, index) =>
        node.command(`CLUSTER ADDSLOTSRANGE ${String(index * share)} ${String(Math.min((index + 1) * share, SLOTS) - 1)}`)),
    )
    const [first] = nodes
    for (const { node, busPort } of all.slice(1)) await first?.command(`CLUSTER MEET 127.0.0.1 ${String(node.namedPort)} ${String(busPort)}`)
    await until('the nodes know each other', async () => (await cluster.info(nodes)).every((info) => info.includes(`cluster_known_nodes:${String(nodes.length)}`)))
    for (const [index, replica] of cluster.replicas.entries()) {
      const primary = cluster.primaries[index % PRIMARIES]
      if (primary !== undefined) await ok(replica, `CLUSTER REPLICATE ${await idOf(primary)}`)
    }
    await cluster.serves()
    await until('the replicas follow', async () => (await Promise.all(cluster.replicas.map((one) => one.isFollowing()))).every(Boolean))
    return cluster
  }

  get nodes(): readonly RedisProcess[] {
    return [...this.primaries, ...this.replicas]
  }

  get savePath(): string {
    return `redis+cluster://${this.nodes.map(({ address }) => address).join(',')}`
  }

  /** To a cluster that speaks TLS. */
  get tlsSavePath(): string {
    return `rediss+cluster://${this.nodes.map(({ namedPort }) => `127.0.0.1:${String(namedPort)}`).join(',')}`
  }

  /** Resolves when every node that runs says that the cluster is whole. */
  async serves(): Promise<void> {
    await until('the cluster serves', async () => (await this.info(this.nodes.filter(({ running }) => running))).every((info) => info.includes('cluster_state:ok')))
  }

  /** Kills all nodes and starts them again, empty. */
  async restart(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.restart()))
    await this.serves()
  }

  async ownerOf(slot: number): Promise<RedisProcess> {
    let owner: RedisProcess | undefined
    await until(`a node has slot ${String(slot)}`, async () => (owner = await this.ownerNow(slot)) !== undefined)
    if (owner === undefined) throw new Error('no owner')
    return owner
  }

  /** Begins to move a slot, and leaves its keys where they are. */
  async beginMove(slot: number, from: RedisProcess, to: RedisProcess): Promise<void> {
    await ok(to, `CLUSTER SETSLOT ${String(slot)} IMPORTING ${await idOf(from)}`)
    await ok(from, `CLUSTER SETSLOT ${String(slot)} MIGRATING ${await idOf(to)}`)
  }

  async moveKey(key: string, from: RedisProcess, to: RedisProcess): Promise<void> {
    await from.command(`MIGRATE 127.0.0.1 ${String(to.port)} ${key} 0 5000`)
  }

  async endMove(slot: number, from: RedisProcess, to: RedisProcess): Promise<void> {
    // All primaries are told, as redis-cli does: who heard of it late would speak against it.
    const others = this.primaries.filter((node) => node !== to && node !== from)
    for (const node of [to, from, ...others]) await ok(node, `CLUSTER SETSLOT ${String(slot)} NODE ${await idOf(to)}`)
    // Two moves of a slot that overtook each other would leave it to nobody.
    await until('the nodes agree who came last', async () => new Set(await Promise.all(this.primaries.map((node) => this.epochsSeenBy(node)))).size === 1)
  }

  /** Moves a slot with all its keys; `between` is called before each key that moves. */
  async move(slot: number, to: RedisProcess, between: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const from = await this.ownerOf(slot)
    if (from === to) return
    await this.beginMove(slot, from, to)
    for (;;) {
      const keys = (await from.command(`CLUSTER GETKEYSINSLOT ${String(slot)} 1`)).split('\r\n').slice(2)
      const [key] = keys
      if (key === undefined || key === '') break
      await between()
      await this.moveKey(key, from, to)
    }
    await this.endMove(slot, from, to)
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  private async ownerNow(slot: number): Promise<RedisProcess | undefined> {
    for (const node of this.nodes.filter(({ running }) => running)) {
      const [first] = (await node.command('CLUSTER NODES')).split('\n').filter((line) => line.includes('myself,master'))
      const ranges = first?.trim().split(' ').slice(8) ?? []
      const isOwn = ranges.some((range) => {
        const [from, to = from] = range.split('-').map(Number)
        return from !== undefined && to !== undefined && slot >= from && slot <= to
      })
      if (isOwn) return node
    }
    return undefined
  }

  private async epochsSeenBy(node: RedisProcess): Promise<string> {
    const lines = (await node.command('CLUSTER NODES')).split('\n').filter((line) => / (?:myself,)?master /.test(line))
    const epochs = lines.map((line) => line.split(' ')).map(([id = '', , , , , , epoch = '']) => `${id} ${epoch}`)
    // Two with one epoch are about to settle it.
    const isSettled = new Set(epochs.map((one) => one.split(' ')[1])).size === epochs.length
    return isSettled ? epochs.sort().join() : `${node.address} is not settled`
  }

  private info(nodes: readonly RedisProcess[]): Promise<string[]> {
    return Promise.all(nodes.map((node) => node.command('CLUSTER INFO')))
  }
}

async function startNode({ nodeTimeoutMs = 2000, args = [], certificate }: Omit<ClusterOptions, 'replicas'>): Promise<{ readonly node: RedisProcess; readonly busPort: number }> {
  const [busPort = 0, port = 0] = await freePorts(2)
  const own = ['--cluster-node-timeout', String(nodeTimeoutMs), '--repl-diskless-sync-delay', '0']
  return { node: await RedisProcess.start({ busPort, ...(certificate === undefined ? {} : { tls: { port, certificate } }), args: [...own, ...args] }), busPort }
}

export const idOf = async (node: RedisProcess): Promise<string> => {
  const [, id = ''] = (await node.command('CLUSTER MYID')).split('\r\n')
  return id
}

async function ok(node: RedisProcess, line: string): Promise<void> {
  const answer = await node.command(line)
  if (!answer.startsWith('+OK') && answer !== '') throw new Error(`${line}: ${answer}`)
}
