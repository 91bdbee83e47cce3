import type { Peer } from '../socket/address.js'
import { describeServer, protocolOf, type ServerAddress } from './save-path.js'
import { MEMCACHED } from './traits.js'

/** The server in words for people. */
export function peerOf(server: ServerAddress): Peer {
  const protocol = protocolOf(server)
  return {
    address: server,
    name: describeServer(server),
    system: MEMCACHED.name,
    expected: `${MEMCACHED.name} that speaks protocol=${protocol}`,
    mayWant: 'SASL credentials',
    orElse: protocol === 'text' && server.via === undefined ? '; where twemproxy answers, add ?via=twemproxy to the address' : '',
  }
}
