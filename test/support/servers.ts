import { MemcachedAddress } from '../../src/wire/memcached/memcached-scheme.js'
import type { ServerAddress } from '../../src/wire/memcached/save-path.js'
import { readSavePath } from '../../src/wire/open-wire.js'

/** The memcached servers of a save path. */
export function serversOf(savePath: string): readonly ServerAddress[] {
  const address = readSavePath(savePath)
  if (address instanceof MemcachedAddress) return address.servers
  throw new Error(`not a memcached save path: ${savePath}`)
}

export function serverOf(savePath: string): ServerAddress {
  const [server, second] = serversOf(savePath)
  if (server === undefined || second !== undefined) throw new Error(`not one server: ${savePath}`)
  return server
}
