/** Clients of other libraries, as an application has them. A library that is not installed is left out. */
import { createRequire } from 'node:module'

/** What the tests themselves ask of a client. */
export interface ForeignClient {
  readonly client: object
  close(): Promise<void>
}

export interface Login {
  readonly username: string
  readonly password: string
}

type Make = (host: string, port: number, login?: Login) => Promise<ForeignClient>

const require = createRequire(import.meta.url)

/** Not `import`: a checkout in which the packages were not installed yet has no types of them. */
function library<T>(name: string): T | undefined {
  try {
    return require(name) as T
  } catch {
    return undefined
  }
}

interface Ioredis {
  new (options: object): object & { disconnect(): void; on(event: 'error', listener: () => void): unknown }
  readonly Cluster: new (nodes: readonly object[], options?: object) => object & { disconnect(): void; on(event: 'error', listener: () => void): unknown }
}
type NodeRedisClient = object & { connect(): Promise<unknown>; destroy(): void; on(event: 'error', listener: () => void): unknown }
interface NodeRedis {
  createClient(options: object): NodeRedisClient
  createCluster(options: object): NodeRedisClient
}
interface Glide {
  readonly Logger: { setLoggerConfig(level: string): void }
  readonly GlideClient: { createClient(options: object): Promise<object & { close(): void }> }
  readonly GlideClusterClient: { createClient(options: object): Promise<object & { close(): void }> }
}

const quiet = <C extends { on(event: 'error', listener: () => void): unknown }>(client: C): C => {
  client.on('error', () => undefined)
  return client
}

function ioredis(name: string): { readonly alone: Make; readonly cluster: Make } | undefined {
  const found = library<Ioredis & { readonly default?: Ioredis }>(name)
  if (found === undefined) return undefined
  const Client = found.default ?? found
  const made = (client: object & { disconnect(): void }): ForeignClient => ({
    client,
    close: async () => client.disconnect(),
  })
  return {
    alone: async (host, port, login) => made(quiet(new Client({ host, port, ...login }))),
    cluster: async (host, port) => made(quiet(new Client.Cluster([{ host, port }]))),
  }
}

function nodeRedis(): { readonly alone: Make; readonly cluster: Make } | undefined {
  const found = library<NodeRedis>('redis')
  if (found === undefined) return undefined
  const made = async (client: NodeRedisClient): Promise<ForeignClient> => {
    await quiet(client).connect()
    return { client, close: async () => client.destroy() }
  }
  return {
    alone: (host, port, login) => made(found.createClient({ socket: { host, port }, ...login })),
    cluster: (host, port) => made(found.createCluster({ rootNodes: [{ socket: { host, port } }] })),
  }
}

function glide(): { readonly alone: Make; readonly cluster: Make } | undefined {
  const found = library<Glide>('@valkey/valkey-glide')
  if (found === undefined) return undefined
  // Of each connection that breaks it would say so on stderr.
  found.Logger.setLoggerConfig('off')
  const made = (client: object & { close(): void }): ForeignClient => ({ client, close: async () => client.close() })
  const at = (host: string, port: number) => ({ addresses: [{ host, port }], requestTimeout: 5000 })
  return {
    alone: async (host, port, credentials) => made(await found.GlideClient.createClient({ ...at(host, port), ...(credentials === undefined ? {} : { credentials }) })),
    cluster: async (host, port) => made(await found.GlideClusterClient.createClient(at(host, port))),
  }
}

export const CLIENTS = [
  { name: 'ioredis', make: ioredis('ioredis') },
  { name: 'iovalkey', make: ioredis('iovalkey') },
  { name: 'node-redis', make: nodeRedis() },
  { name: 'valkey-glide', make: glide() },
] as const

export const makerOf = (name: (typeof CLIENTS)[number]['name']): { readonly alone: Make; readonly cluster: Make } | undefined =>
  CLIENTS.find((one) => one.name === name)?.make
