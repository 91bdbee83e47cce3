/** What is said to a server before the first flight: who we are, which database, and the script. */
import type { Credentials } from '../socket/address.js'
import { AuthenticationError, ProtocolError } from '../socket/codec.js'
import type { Greeting } from '../socket/greeting.js'
import { shown } from '../socket/server-errors.js'
import { SCRIPT, SCRIPT_SHA } from './script.js'
import { Bulk, commandOf, isError, type RespReply } from './resp.js'

/** As strings of Latin-1 characters, a byte each. */
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1')

/** What the server shows its operators (`CLIENT LIST`). */
const CLIENT_NAME = 'latchkey'

export interface Handshake {
  /** The commands, in Latin-1. */
  readonly text: string
  /** For each of them, takes its answer. Throws if the connection is of no use. */
  readonly takes: readonly ((reply: RespReply) => void)[]
  /** To be asked for when all answers were taken. */
  greeting(): Greeting
}

/** `isOfCluster`: a node of a cluster is wanted, whatever its role. `isWatched`: Sentinels have named it. */
export interface Wanted {
  readonly database: number
  readonly isOfCluster: boolean
  readonly isWatched: boolean
}

export type MakeHandshake = (credentials: Credentials | undefined) => Handshake

export function helloOf(credentials: Credentials | undefined): string {
  const login = credentials === undefined ? [] : ['AUTH', bytesOf(credentials.username), bytesOf(credentials.password)]
  return commandOf('HELLO', 2, ...login, 'SETNAME', CLIENT_NAME)
}

/** With a server that keeps sessions. */
export const handshakeWith = ({ database, isOfCluster, isWatched }: Wanted): MakeHandshake => (credentials) => {
  let mode = ''
  const takeHello = (reply: RespReply): void => {
    const fields = toldBy(reply)
    mode = fields.get('mode') ?? ''
    if (!isOfCluster && flawOf(mode, isOfCluster) === undefined && fields.get('role') !== 'master') {
      const advice = isWatched
        ? 'its Sentinels still take it for the primary, and will soon name another'
        : 'name the primary in the save path, by an address that moves with it, or its Sentinels (redis+sentinel://)'
      throw new Error(`it is a replica, and takes no writes: ${advice}`)
    }
  }
  const takeOk = (what: string) => (reply: RespReply): void => {
    if (!isError(reply)) return
    throw new ProtocolError(/^LOADING\b/.test(reply.error) ? 'it has just started, and reads its data' : `it refuses ${what} (${shown(reply.error)})`)
  }
  const takeSha = (reply: RespReply): void => {
    takeOk('SCRIPT LOAD, which the user of the save path must be allowed, as EVALSHA')(reply)
    if (!(reply instanceof Bulk) || String(reply) !== SCRIPT_SHA) throw new ProtocolError('it knows the script by another name')
  }
  const select = database === 0 ? [] : [commandOf('SELECT', database)]
  return {
    text: [helloOf(credentials), ...select, commandOf('SCRIPT', 'LOAD', SCRIPT)].join(''),
    takes: [takeHello, ...select.map(() => takeOk(`the database ${String(database)}`)), takeSha],
    greeting: () => ({ process: undefined, itemSizeMaxBytes: undefined, flaw: flawOf(mode, isOfCluster) }),
  }
}

function flawOf(mode: string, isOfCluster: boolean): string | undefined {
  if (mode === 'sentinel') return 'a Sentinel answers here, which keeps no data. Write redis+sentinel:// and the name of what it watches in the save path'
  if (mode === 'cluster' && !isOfCluster) return 'it is a node of a Redis Cluster. Write redis+cluster:// (with TLS rediss+cluster://) in the save path'
  if (mode !== 'cluster' && isOfCluster) return 'it is no node of a Redis Cluster. Write redis:// (with TLS rediss://) in the save path'
  return undefined
}

function whyRefused(error: string): Error {
  if (/^(?:NOAUTH|WRONGPASS|NOPERM)\b/.test(error) || /without any password configured/.test(error)) {
    return new AuthenticationError(/^NOAUTH/.test(error) ? 'the server wants credentials' : `the server refused the credentials (${shown(error)})`)
  }
  if (/unknown command/i.test(error)) return new Error('it is older than Redis 6, and does not know HELLO')
  if (/max number of clients/i.test(error)) return new Error('all its connections are in use: raise its maxclients')
  return new ProtocolError(`it answered with an error (${shown(error)})`)
}

/** What it tells about itself in answer to HELLO: a map, which RESP2 writes as a list. @throws Error: it wants nothing of us. */
export function toldBy(reply: RespReply): ReadonlyMap<string, string> {
  if (isError(reply)) throw whyRefused(reply.error)
  if (!Array.isArray(reply)) throw new ProtocolError('an answer to HELLO that is no map')
  const fields = new Map<string, string>()
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(String(reply[at]), String(reply[at + 1]))
  return fields
}
