/**
 * As much of the peers' types as is used here: an ambient module stands in for the package's own types, so that the
 * root's type check needs nothing of bench/node_modules.
 */
declare module 'connect-memcached' {
  import type { Store } from 'express-session'
  import type session from 'express-session'
  export default function connect(
    module: typeof session,
  ): new (options: { readonly hosts: readonly string[]; readonly prefix: string }) => Store & {
    readonly client: { end(): void }
  }
}

declare module 'connect-memjs' {
  import type { Store } from 'express-session'
  import type session from 'express-session'
  export default function connect(
    module: typeof session,
  ): new (options: { readonly servers: readonly string[]; readonly prefix: string }) => Store & {
    readonly client: { close(): void }
  }
}

declare module 'memorystore' {
  import type { Store } from 'express-session'
  import type session from 'express-session'
  export default function connect(module: typeof session): new (options: { readonly checkPeriod: number }) => Store
}

declare module 'redis' {
  export interface RedisClient {
    connect(): Promise<RedisClient>
    destroy(): void
    on(event: 'error', listener: (error: Error) => void): RedisClient
  }
  export function createClient(options: { readonly url: string }): RedisClient
}

declare module 'connect-redis' {
  import { Store } from 'express-session'
  import type { RedisClient } from 'redis'
  export class RedisStore extends Store {
    constructor(options: { readonly client: RedisClient; readonly prefix: string })
  }
}

declare module 'autocannon' {
  export interface Client {
    setHeaders(headers: Readonly<Record<string, string>>): void
  }
  export interface Options {
    readonly url: string
    readonly connections: number
    readonly duration: number
    readonly setupClient?: (client: Client) => void
  }
  export interface Result {
    readonly requests: { readonly total: number; readonly average: number }
    readonly latency: { readonly p50: number; readonly p99: number }
    readonly errors: number
    readonly timeouts: number
    readonly non2xx: number
    readonly duration: number
  }
  export default function autocannon(options: Options): Promise<Result>
}

declare module 'session-file-store' {
  import type { Store } from 'express-session'
  import type session from 'express-session'
  export default function connect(
    module: typeof session,
  ): new (options: { readonly path: string; readonly reapInterval: number; readonly logFn: () => void }) => Store
}

declare module 'better-sqlite3-session-store' {
  import type { Store } from 'express-session'
  import type session from 'express-session'
  export default function connect(module: typeof session): new (options: { readonly client: unknown }) => Store
}

declare module 'ioredis' {
  export default class Redis {
    constructor(port: number, host: string)
    disconnect(): void
  }
}

declare module 'redlock' {
  import type Redis from 'ioredis'
  export default class Redlock {
    constructor(clients: readonly Redis[], settings: { readonly retryDelay: number; readonly retryCount: number })
    acquire(resources: readonly string[], durationMs: number): Promise<{ release(): Promise<unknown> }>
  }
}
