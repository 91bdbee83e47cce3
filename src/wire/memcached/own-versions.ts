/**
 * Versions of our own making, through memcached's proxy.
 *
 * memcached counts its versions from 1 again after a restart, which nobody sees behind a proxy: a version from before it
 * could be that of a stranger's record. From 1.6.27 on memcached takes a version from its client (`E`, protocol.txt). A
 * random one comes never again, so it may be sent however old it is.
 *
 * - A lock is stored by `ms ... E`. When the server has no memory left, that unlinks what was there: the lock is lost then,
 *   as by an eviction, and its holder told so.
 * - A record is never stored so: a write that is refused would take the old record with it. It is stored by `add`, `cas`
 *   and `set`, and is given its version in place behind that, by `md ... I E`, which needs no memory. Where the store was
 *   refused, this gives another's record another version: whoever holds it sees the same record, and sends again.
 */
import { nonceOf, type Random } from '../../system/random.js'
import { type Command, type Reply, UnsupportedStoreError } from '../wire.js'
import { ProtocolError } from '../socket/codec.js'
import { EXISTS, MISSING, OUT_OF_MEMORY, replyOf } from '../reply.js'

/** The least number of 20 digits. No server counts as far, so the digits tell a version of ours. */
const LEAST = 10n ** 19n
const COUNT = 2n ** 64n - LEAST

export const newVersion = (random: Random): string => String(LEAST + (nonceOf(random).wide() % COUNT))

/** So many keys are asked for at the opening of a connection: each may be on another server, and all must keep versions. */
const PROBES = 8

/** What a lock takes at the most. Larger values are records, whatever they bear. */
const LOCK_BYTES = 512

type Store = Command & { readonly op: 'add' | 'set' | 'cas' }

/** Whether it is a lock, or as small and as easily made again. A record bears a stamp. */
export const isLockLike = (command: Store): command is Command & { readonly op: 'add' | 'cas' } =>
  command.op !== 'set' && command.flags === undefined && command.value.length <= LOCK_BYTES

/** Makes versions, and what is said to store by them. */
export class OwnVersions {
  readonly #random: Random
  readonly #probeKey: () => string

  constructor(random: Random, probeKey: () => string) {
    this.#random = random
    this.#probeKey = probeKey
  }

  next(): string {
    return newVersion(this.#random)
  }

  /** Asks whether the servers keep versions; the answer is a line for each key, for `taker`. */
  get question(): string {
    return Array.from({ length: PROBES }, () => this.revision(this.#probeKey(), this.next())).join('')
  }

  /**
   * Takes the lines of the answer; says whether it was the last one.
   *
   * @throws UnsupportedStoreError: a server is too old. One that is away says nothing.
   */
  taker(): (line: string) => boolean {
    let due = PROBES
    return (line) => {
      if (line.startsWith('CLIENT_ERROR')) throw new UnsupportedStoreError(TOO_OLD)
      return --due === 0
    }
  }

  /** Gives what stands there, if anything does, another version. It is marked stale by that, which only `mg` shows. */
  revision(key: string, version: string): string {
    return `md ${key} I E${version}\r\n`
  }

  /** All but the value, and the line end behind it. */
  lockStore(command: Command & { readonly op: 'add' | 'cas' }, exptime: number, version: string): string {
    const condition = command.op === 'add' ? 'ME' : `C${command.cas.version}`
    return `ms ${command.key} ${String(command.value.length)} ${condition} T${String(exptime)} E${version}\r\n`
  }

  /** The reply to that; undefined where the line says nothing certain. */
  lockReply(line: string, version: string): Reply | undefined {
    switch (line) {
      case 'HD':
        return replyOf('ok', { version, asOf: Infinity }, undefined, 0)
      case 'NS':
      case 'EX':
        return EXISTS
      case 'NF':
        return MISSING
      case 'SERVER_ERROR out of memory storing object':
        return OUT_OF_MEMORY
      default:
        this.judge(line)
        return undefined
    }
  }

  /** @throws ProtocolError: a server behind the proxy is too old, and whether it did anything is not known. */
  judge(line: string): void {
    if (line.startsWith('CLIENT_ERROR')) throw new ProtocolError(TOO_OLD)
  }
}

const TOO_OLD =
  'a server behind the proxy takes no versions (versions=own): it is older than memcached 1.6.27. Take versions=own out of the ' +
  'save path, or update that server'
