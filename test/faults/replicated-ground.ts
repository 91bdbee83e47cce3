/** The ground of the cells on three memcached of which one breaks, or two: each session is on all of them. */
import { SessionManager } from 'latchkey'
import { isAdvice, isOfProcesses, markKeyOf } from '../../src/lock/protocol/key-layout.js'
import { systemClock } from '../../src/system/clock.js'
import { openReplicated } from '../../src/wire/memcached/open-replicated.js'
import type { Wire } from '../../src/wire/wire.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { FaultProxy } from '../support/proxy.js'
import { serversOf } from '../support/servers.js'
import type { Struck, Trouble } from './cell.js'
import type { FaultKind, Victim } from './fault-kinds.js'
import type { HookKind } from './hooks.js'
import type { Ground } from './matrix.js'
import { managerFor, Rig, type RigOptions, Truth } from './rig.js'

const NODES = 3
/** A node is given less time than a call to one server alone: twice the deadlines keep it from being late by chance. */
const PATIENCE = 2
const AT_ONCE = 12
/** Cells that start servers are few at a time: a process that forks stands still for a while. */
const AT_ONCE_WITH_SERVERS = 4

/** So many of the nodes break at the same moment. */
export interface NodesFault extends Trouble<ReplicatedRig> {
  readonly ownServer: boolean
}

export function onNodes(count: number, fault: FaultKind, expected: (hook: HookKind) => readonly string[]): NodesFault {
  const { zombieFlights, ownServer } = fault
  // What one node forgets the two others have.
  const empties = count === 1 ? 'no' : fault.empties
  return {
    ...{ name: fault.name, zombieFlights, ownServer, empties, expected },
    async strike(rig): Promise<Struck> {
      const struck = await Promise.all(rig.victims.slice(0, count).map((victim) => fault.strike(victim)))
      return {
        happened: () => struck.every((one) => one.happened()),
        heal: async () => {
          await Promise.all(struck.map((one) => one.heal()))
        },
      }
    },
  }
}

interface Site {
  readonly servers: readonly MemcachedServer[]
  readonly truth: ReplicatedTruth
}

/** By their proxies and past them the nodes have other addresses: two lists, by which each would refuse the other. */
const LIST = 'matrix'

function wireTo(addresses: readonly string[], flightMs: number): Wire {
  const servers = serversOf(`${addresses.map((address) => `tcp://${address}`).join(',')}?replicas=${String(NODES)}`)
  return openReplicated(servers, NODES, { clock: systemClock, flightMs, connections: 3, isOfProcesses, isAdvice, markKey: markKeyOf('') }, LIST)
}

/** A record of several nodes is stored under its lock, and in no other way. */
class ReplicatedTruth extends Truth {
  private readonly writer: SessionManager

  constructor(servers: readonly MemcachedServer[]) {
    const wire = (): Wire => wireTo(servers.map(({ address }) => address), 10_000)
    super(wire())
    this.writer = new SessionManager({ wire: wire(), prefix: '', deadlineMs: 30_000 })
  }

  override async set(key: string, text: string, ttlSec: number): Promise<void> {
    const store = this.writer.store()
    await store.read(key)
    await store.write(key, text, { lifetimeSec: ttlSec })
    await store.close()
  }

  override async close(): Promise<void> {
    await this.writer.close()
    await super.close()
  }
}

/** A manager with a proxy before each node. */
export class ReplicatedRig extends Rig {
  readonly victims: readonly Victim[]

  private constructor(
    options: RigOptions,
    site: Site,
    private readonly proxies: readonly FaultProxy[],
    private readonly onClosed: () => void,
  ) {
    super(options, managerFor(options, (flightMs) => wireTo(proxies.map(({ address }) => address), flightMs)), site.truth)
    const { manager, flightMs, stranger } = this
    this.victims = site.servers.flatMap((server, node) => {
      const proxy = proxies[node]
      return proxy === undefined ? [] : [{ proxy, server, manager, flightMs, stranger }]
    })
  }

  static async start(options: RigOptions, site: Site, onClosed: () => void): Promise<ReplicatedRig> {
    const proxies = await Promise.all(site.servers.map((server) => FaultProxy.start(server)))
    const rig = new ReplicatedRig({ ...options, patience: PATIENCE * options.patience }, site, proxies, onClosed)
    await rig.prepare()
    return rig
  }

  override async close(): Promise<void> {
    await super.close()
    await Promise.all(this.proxies.map((proxy) => proxy.stop()))
    this.onClosed()
  }
}

export class ReplicatedGround implements Ground<ReplicatedRig, NodesFault, 'three nodes'> {
  readonly roads = ['three nodes'] as const
  private readonly sites: Site[] = []
  /** Those that belonged to one cell, and may belong to the next. */
  private readonly idle: Site[] = []
  private shared: Promise<Site> | undefined

  atOnce({ ownServer }: NodesFault): number {
    return ownServer ? AT_ONCE_WITH_SERVERS : AT_ONCE
  }

  async rig(_road: 'three nodes', { ownServer }: NodesFault, options: RigOptions): Promise<ReplicatedRig> {
    const site = ownServer ? await this.take() : await (this.shared ??= this.build())
    return ReplicatedRig.start(options, site, () => {
      if (ownServer && site.servers.every(({ running }) => running)) this.idle.push(site)
    })
  }

  async close(): Promise<void> {
    for (const { servers, truth } of this.sites) {
      await truth.close()
      await Promise.all(servers.map((server) => server.stop()))
    }
  }

  /** Three nodes that nobody else uses, and that have nothing, not even their marks. */
  private async take(): Promise<Site> {
    const site = this.idle.pop()
    if (site === undefined) return this.build()
    await Promise.all(site.servers.map((server) => server.commandText('flush_all')))
    return site
  }

  private async build(): Promise<Site> {
    const servers = await Promise.all(Array.from({ length: NODES }, () => MemcachedServer.start()))
    const site = { servers, truth: new ReplicatedTruth(servers) }
    this.sites.push(site)
    return site
  }
}
