import type { OpenOptions } from '../open-options.js'
import type { OperatedStore, OperateOptions } from '../operated-store.js'
import type { StoreAddress, WireScheme } from '../scheme.js'
import type { Wire } from '../wire.js'
import { createMemcachedWire } from './memcached-wire.js'
import { operateServers } from './operator/operated-servers.js'
import { openReplicated } from './open-replicated.js'
import { FORM, parseServers, replicasOf, SCHEMES, type ServerAddress } from './save-path.js'

/** `tcp://`, `tls://` and `unix://`, and a bare `host:port`: one memcached, or several that share the sessions. */
export const memcachedScheme: WireScheme = {
  beginnings: SCHEMES.map((scheme) => `${scheme}://`),
  form: FORM,
  variable: 'MEMCACHE_SERVERS',
  read: (savePath, refuse) => new MemcachedAddress(parseServers(savePath, refuse)),
}

export class MemcachedAddress implements StoreAddress {
  readonly placesKeys = true

  constructor(readonly servers: readonly ServerAddress[]) {}

  open(options: OpenOptions): Wire {
    const replicas = replicasOf(this.servers)
    return replicas === undefined
      ? createMemcachedWire({ ...options, servers: this.servers })
      : openReplicated(this.servers, replicas, options)
  }

  operate(options: OperateOptions): OperatedStore {
    return operateServers(this.servers, options)
  }
}
