/**
 * Configurations of proxies before memcached, with a reason for each line.
 *
 * `sharding`: each session on one of the servers, which is what a save path with `?via=` needs. `quorum`: the proxy as a
 * pipe to each server, which is addressed by the beginning of a key (`n1/`, `n2/`, `n3/`) or by a port of its own, for
 * sessions that are replicated by their client. `cache`: copies on all servers, for what an application may lose.
 */
import { NotSupportedError } from '../../../errors.js'
import { nodeId, type ServerAddress } from '../save-path.js'

export const PURPOSES = ['sharding', 'quorum', 'cache'] as const
export type Purpose = (typeof PURPOSES)[number]

const WRITERS: Readonly<Record<string, Partial<Record<Purpose, (servers: readonly Backend[]) => string>>>> = {
  twemproxy: { sharding: twemproxySharding, quorum: twemproxyQuorum },
  memcached: { sharding: memcachedSharding, quorum: memcachedQuorum },
  mcrouter: { sharding: mcrouterSharding, quorum: mcrouterQuorum, cache: mcrouterCache },
}

interface Backend {
  /** `10.0.0.1:11211` */
  readonly address: string
  readonly weight: number
}

/**
 * A configuration; undefined where there is none for this proxy and this purpose.
 *
 * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: servers that a proxy is not told of here (unix sockets, TLS).
 */
export function writtenConfiguration(servers: readonly ServerAddress[], proxy: string, purpose: string): string | undefined {
  const known = PURPOSES.find((one) => one === purpose)
  const write = known === undefined ? undefined : WRITERS[proxy]?.[known]
  if (write === undefined) return undefined
  for (const { endpoint, tls, via } of servers) {
    if (endpoint.kind === 'tcp' && tls === undefined && via === undefined) continue
    throw new NotSupportedError('proxy-config writes servers that are reached by host and port, without TLS. Name those behind the proxy.')
  }
  return write(servers.map((server) => ({ address: nodeId(server), weight: server.weight })))
}

const FIRST_PORT = 22121
const CAN_LOSE = 'A session that lives on a server goes with it when it dies; those of the others do not. Nothing is copied.'
const RESTART = 'Let each memcached stay away for 5 s when it restarts (systemd: RestartSec=5): the proxy hides the restart.'

const twemproxyPool = (name: string, port: number, servers: readonly Backend[]): string => `${name}:
  listen: 127.0.0.1:${String(port)}      # beside the application, on each of its machines
  hash: murmur                 # spreads ids that are alike evenly; fnv1a_64 does not
  hash_tag: "{}"               # only the id is hashed (sess:{id}-lck): record, lock and line are on one server
  distribution: ketama         # a server that is added moves its share of the sessions, and no other
  timeout: 400                 # ms; below a third of deadlineMs, or a server that hangs holds up the sessions of all
  auto_eject_hosts: false      # with true, old sessions stand again when a server comes back
  server_connections: 1        # with more, the commands of a flight overtake each other
  preconnect: true             # a server that is down is known at once
  servers:
${servers.map(({ address, weight }) => `   - ${address}:${String(weight)}`).join('\n')}
`

function twemproxySharding(servers: readonly Backend[]): string {
  return `# twemproxy (nutcracker), for sessions that are spread over ${String(servers.length)} servers.
# savePath: tcp://127.0.0.1:${String(FIRST_PORT)}?via=twemproxy
# ${CAN_LOSE}
# ${RESTART}
${twemproxyPool('sessions', FIRST_PORT, servers)}`
}

function twemproxyQuorum(servers: readonly Backend[]): string {
  const pools = servers.map((server, index) => twemproxyPool(`n${String(index + 1)}`, FIRST_PORT + index, [server]))
  return `# twemproxy (nutcracker) as a pipe to each of ${String(servers.length)} servers: a port for each. Who stores on several of them
# decides by a majority; the proxy copies nothing.
# savePath: ${servers.map((_server, index) => `tcp://127.0.0.1:${String(FIRST_PORT + index)}?via=twemproxy`).join(',')}&replicas=${String(copiesOn(servers))}
# ${RESTART}
${pools.join('\n')}`
}

const luaPool = (name: string, servers: readonly Backend[], isTagged: boolean): string => `  ${name} = {
    backends = { ${servers.map(({ address }) => `"${address}"`).join(', ')} },
${isTagged ? '    options = { filter = "tags", filter_conf = "{}" }, -- only the id is hashed (sess:{id}-lck): all keys of a session on one server\n' : ''}  },
`

const LUA_START = 'memcached -p 11211 -o proxy_config=routelib,proxy_arg=/etc/memcached-proxy.lua'

function memcachedSharding(servers: readonly Backend[]): string {
  return `-- memcached's own proxy (1.6.23 and later, built with it), for sessions that are spread over ${String(servers.length)} servers.
-- Start: ${LUA_START}
-- savePath: tcp://127.0.0.1:11211?via=proxy
-- Where all servers are memcached 1.6.27 or later: tcp://127.0.0.1:11211?via=proxy&versions=own, and RestartSec is not needed.
-- ${CAN_LOSE}
-- ${RESTART}
-- No dist: the default hash is right, and the ring hash of 1.6.38 puts every key on one server. Weights are not known here.
pools{
${luaPool('sessions', servers, true)}}
routes{
  -- One server for each key. allsync, allfastest and failover keep copies or move keys: no lock can be held there.
  default = route_direct{ child = "sessions" },
}
`
}

/** An odd number, as with one more no more servers may be away. */
const copiesOn = ({ length }: readonly Backend[]): number => (length >= 5 ? 5 : length >= 3 ? 3 : 1)

function memcachedQuorum(servers: readonly Backend[]): string {
  const names = servers.map((_server, index) => `n${String(index + 1)}`)
  return `-- memcached's own proxy as a pipe to each of ${String(servers.length)} servers: a key that begins with n1/ goes to the first, and so on.
-- Start: ${LUA_START}
-- savePath: tcp://127.0.0.1:11211?via=proxy&pipes=${String(servers.length)}&replicas=${String(copiesOn(servers))}
-- ${RESTART}
pools{
${servers.map((server, index) => luaPool(names[index] ?? '', [server], false)).join('')}}
routes{
  map = { -- what stands before the first slash of a key
${names.map((name) => `    ${name} = route_direct{ child = "${name}" }, -- its own server, and no other\n`).join('')}  },
  default = route_direct{ child = "n1" }, -- keys of nobody
}
`
}

const jsonPool = (name: string, servers: readonly Backend[], end: string): string =>
  `    "${name}": { "servers": [${servers.map(({ address }) => `"${address}"`).join(', ')}] }${end}\n`

const ROUTER_START = 'mcrouter -p 5000 --config-file=/etc/mcrouter.json --server-timeout-ms=400'
const ROUTER_MISS = 'Versions that have the option: --disable-miss-on-get-errors, or a server that is down looks like one without the session.'

function mcrouterSharding(servers: readonly Backend[]): string {
  return `// mcrouter, for sessions that are spread over ${String(servers.length)} servers.
// Start: ${ROUTER_START}
// ${ROUTER_MISS}
// savePath: tcp://127.0.0.1:5000?via=mcrouter
// ${CAN_LOSE}
// ${RESTART}
{
  "pools": {
${jsonPool('sessions', servers, '')}  },
  // One server for each key. It hashes a key up to its |#| (sess:id|#|-lck), so that a session's keys are together.
  "route": "PoolRoute|sessions"
}
`
}

function mcrouterQuorum(servers: readonly Backend[]): string {
  const names = servers.map((_server, index) => `n${String(index + 1)}`)
  const comma = (index: number): string => (index < names.length - 1 ? ',' : '')
  return `// mcrouter as a pipe to each of ${String(servers.length)} servers: a key that begins with n1/ goes to the first, and so on.
// Start: ${ROUTER_START}
// ${ROUTER_MISS}
// savePath: tcp://127.0.0.1:5000?via=mcrouter&pipes=${String(servers.length)}&replicas=${String(copiesOn(servers))}
// ${RESTART}
{
  "pools": {
${servers.map((server, index) => jsonPool(names[index] ?? '', [server], comma(index))).join('')}  },
  "route": {
    "type": "PrefixSelectorRoute",
    "policies": { // by the beginning of a key, which is kept
${names.map((name, index) => `      "${name}/": "PoolRoute|${name}"${comma(index)} // its own server, and no other\n`).join('')}    },
    "wildcard": "ErrorRoute" // keys of nobody
  }
}
`
}

function mcrouterCache(servers: readonly Backend[]): string {
  const turned = servers.map((_server, index) => [...servers.slice(index), ...servers.slice(0, index)])
  const names = turned.map((_server, index) => `from${String(index + 1)}`)
  const comma = (index: number): string => (index < names.length - 1 ? ',' : '')
  const read = [
    '        "type": "RandomRoute", // each read begins at another server',
    '        "children": [ // and goes on to the next when it finds nothing',
    ...names.map((name, index) => `          { "type": "MissFailoverRoute", "children": "Pool|${name}" }${comma(index)}`),
    '        ]',
  ].join('\n')
  return `// mcrouter, for the application's cache, copied to ${String(servers.length)} servers. NOT for sessions: no lock can be held here, and latchkey
// refuses it.
// What it may lose: a read takes the first hit, so that a server that was away answers with what it had before it went; of
// two writers at once each may win on another server; with half of the servers down every write is told as an error, though
// some have stored it.
{
  "pools": {
${turned.map((pool, index) => jsonPool(names[index] ?? '', pool, comma(index))).join('')}  },
  "route": {
    "type": "OperationSelectorRoute",
    "default_policy": { "type": "AllMajorityRoute", "children": "Pool|${names[0] ?? ''}" }, // writes go to all, and count when most have answered alike
    "operation_policies": {
      "get": {
${read}
      },
      "gets": { // without a policy of its own it would go to all, and compare versions that differ
${read}
      }
    }
  }
}
`
}
