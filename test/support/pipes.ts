/** Three memcached, and the ways to keep each session on all of them: directly, and through proxies that are pipes to each. */
import { writtenConfiguration } from '../../src/wire/memcached/operator/written-configurations.js'
import { MemcachedServer } from './memcached-server.js'
import { missingProxy, type Proxy, startProxy } from './proxies.js'
import { serversOf } from './servers.js'

export const PIPE_ROADS = ['direct', 'twemproxy', 'proxy', 'mcrouter'] as const
export type PipeRoad = (typeof PIPE_ROADS)[number]

/** Why the tests of a road are skipped, to stand in their names; '' where they run. */
export const missingRoad = (road: PipeRoad): string => (road === 'direct' ? '' : missingProxy(road))

export class ThreeNodes implements AsyncDisposable {
  private constructor(
    readonly nodes: readonly [MemcachedServer, MemcachedServer, MemcachedServer],
    readonly savePath: string,
    private readonly proxy: Proxy | undefined,
  ) {}

  /** @param argsOf what is added to the command line of a node. */
  static async start(road: PipeRoad, argsOf: (node: number) => readonly string[] = () => []): Promise<ThreeNodes> {
    const start = (node: number): Promise<MemcachedServer> => MemcachedServer.start({ args: argsOf(node) })
    const nodes = await Promise.all([start(0), start(1), start(2)])
    const addresses = nodes.map(({ address }) => `tcp://${address}`).join(',')
    if (road === 'direct') return new ThreeNodes(nodes, `${addresses}?replicas=3`, undefined)
    const written = writtenConfiguration(serversOf(addresses), road === 'proxy' ? 'memcached' : road, 'quorum')
    if (written === undefined) throw new Error(`nothing is written for ${road}`)
    // As it is written, but for the ports, which must be free here.
    const proxy = await startProxy(road, written.replaceAll(/(?<=listen: )127\.0\.0\.1:\d+/g, '%listen%'))
    const [first, ...more] = (proxy.addresses ?? [proxy.address]).map((address) => `tcp://${address}?via=${road}`)
    const savePath = more.length === 0 ? `${String(first)}&pipes=3&replicas=3` : `${[first, ...more].join(',')}&replicas=3`
    return new ThreeNodes(nodes, savePath, proxy)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy?.stop()
    await Promise.all(this.nodes.map((node) => node.stop()))
  }
}
