/** The ground of the cells on memcached or Redis: servers, some of them shared, each with a road past the proxy of the cell. */
import { systemClock } from '../../src/system/clock.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { FaultProxy } from '../support/proxy.js'
import type { ServerProcess } from '../support/server-process.js'
import type { FaultKind } from './fault-kinds.js'
import type { Ground } from './matrix.js'
import { managerFor, Rig, type RigOptions, Truth } from './rig.js'
import { Roads, type Transport } from './transports.js'

interface Site {
  readonly transport: Transport
  readonly server: ServerProcess
  readonly truth: Truth
}

/** A manager behind a proxy. */
export class ServerRig extends Rig {
  private constructor(
    options: RigOptions,
    roads: Roads,
    private readonly site: Site,
    readonly proxy: FaultProxy,
    private readonly onClosed: () => void,
  ) {
    super(options, managerFor(options, roads.savePath(site.transport, proxy.address)), site.truth)
  }

  static async start(options: RigOptions, roads: Roads, site: Site, onClosed: () => void): Promise<ServerRig> {
    const rig = new ServerRig(options, roads, site, await FaultProxy.start(site.server), onClosed)
    await rig.prepare()
    return rig
  }

  get server(): ServerProcess {
    return this.site.server
  }

  override async close(): Promise<void> {
    await super.close()
    await this.proxy.stop()
    this.onClosed()
  }
}

/** Cells that start servers are few at a time: a process that forks stands still for a while. */
const AT_ONCE_WITH_SERVERS = 5

export class ServerGround implements Ground<ServerRig> {
  /** Servers that the cells of one transport share. */
  private readonly shared = new Map<string, Site>()
  /** Servers that belonged to one cell and may belong to the next. */
  private readonly idle: Site[] = []
  readonly roads: readonly Transport[]

  private constructor(
    transports: readonly Transport[],
    private readonly made: Roads,
  ) {
    this.roads = transports
  }

  static async lay(transports: readonly Transport[]): Promise<ServerGround> {
    const ground = new ServerGround(transports, await Roads.prepare(transports))
    for (const transport of transports) ground.shared.set(transport, await ground.build(transport))
    return ground
  }

  atOnce({ ownServer }: ServerFault): number | undefined {
    return ownServer ? AT_ONCE_WITH_SERVERS : undefined
  }

  async rig(transport: Transport, { ownServer }: ServerFault, options: RigOptions): Promise<ServerRig> {
    const site = (ownServer ? undefined : this.shared.get(transport)) ?? (await this.take(transport))
    return ServerRig.start(options, this.made, site, () => {
      if (ownServer) this.idle.push(site)
    })
  }

  async close(): Promise<void> {
    for (const { server, truth } of [...this.shared.values(), ...this.idle]) {
      await truth.close()
      await server.stop()
    }
    await this.made[Symbol.asyncDispose]()
  }

  /** A server that nobody else uses. */
  private async take(transport: Transport): Promise<Site> {
    const at = this.idle.findIndex((site) => site.transport === transport && site.server.running)
    const [site] = at < 0 ? [] : this.idle.splice(at, 1)
    return site ?? this.build(transport)
  }

  private async build(transport: Transport): Promise<Site> {
    const server = await this.made.startServer(transport)
    const address = readSavePath(this.made.savePath(transport, server.address))
    const truth = new Truth(address.open({ clock: systemClock, flightMs: 10_000, connections: 2 }))
    return { transport, server, truth }
  }
}

type ServerFault = FaultKind
