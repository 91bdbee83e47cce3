/** Reads `session.save_path` as PHP's two extensions do, and says it in the form of latchkey's save path. */

export interface PhpServers {
  /** How many there are. */
  readonly count: number
  /** latchkey's save path; undefined where PHP itself cannot use what is written, or latchkey cannot. */
  readonly savePath: string | undefined
  /** Why there is none. */
  readonly flaw: string | undefined
}

const HOST = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/

/** `host:port:weight,host:port`; a socket begins with a slash. It knows no scheme, no parameters and no spaces. */
export function memcachedServers(path: string): PhpServers {
  if (path === '') return refused('it is empty')
  if (/^PERSISTENT=/.test(path)) return refused('PERSISTENT= is of php-memcached 2; set memcached.sess_persistent')
  if (path.includes('://')) return refused('php-memcached wants host:port, without a scheme')
  if (/(?:^|,)\s|\s(?:,|$)/.test(path)) return refused('php-memcached takes no spaces around its servers')
  return joined(path.split(',').map((server) => {
    const [host = '', port = '', weight = ''] = server.split(/[: ]/)
    if (host.startsWith('/')) return `unix://${encodeURI(host)}`
    return tcp(host, port, weight)
  }))
}

/** `tcp://host:port?weight=2, unix:///run/memcached.sock`; what else its parameters say is about connections. */
export function memcacheServers(path: string): PhpServers {
  if (path === '') return refused('it is empty')
  return joined(path.split(',').map((piece) => {
    const [address = '', query = ''] = piece.trim().split('?', 2)
    const [, scheme = 'tcp', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(address) ?? []
    const weight = new URLSearchParams(query).get('weight') ?? ''
    if (scheme === 'unix' || scheme === 'file') return `unix://${encodeURI(rest.replace(/:0?$/, ''))}`
    const [host = '', port = ''] = rest.split(':')
    return scheme === 'tcp' ? tcp(host, port, weight) : undefined
  }))
}

function tcp(host: string, port: string, weight: string): string | undefined {
  const [portNumber, share] = [port === '' ? 11211 : Number(port), weight === '' ? 1 : Number(weight)]
  const isPort = Number.isInteger(portNumber) && portNumber > 0 && portNumber < 65536
  if (!HOST.test(host) || !isPort || !Number.isInteger(share) || share < 0 || share > 1000) return undefined
  return `tcp://${host}:${String(portNumber)}${share > 1 ? `?weight=${String(share)}` : ''}`
}

function joined(servers: readonly (string | undefined)[]): PhpServers {
  const bad = servers.indexOf(undefined)
  if (bad >= 0) return refused(`server ${String(bad + 1)} cannot be read (host:port, or a socket)`, servers.length)
  return { count: servers.length, savePath: servers.join(','), flaw: undefined }
}

const refused = (flaw: string, count = 1): PhpServers => ({ count, savePath: undefined, flaw })
