import type { Holder } from '../../errors.js'
import type { Clock } from '../../system/clock.js'
import { escaped, plainText } from '../../system/plain-text.js'
import { nonceOf, type Random } from '../../system/random.js'
import type { Value } from '../../wire/wire.js'

/** A lock's value: different for each acquisition, and readable by everyone who finds the session locked. ASCII. */
export type LockToken = string

export interface TokenContent {
  /** The queue that took the lock, or that the lock was granted to: see `TokenMint.instance()`. */
  readonly instance: string | undefined
  readonly holder: Holder
  /** The address where processes of the same host can wait for the holder; undefined: there is none. */
  readonly bell: string | undefined
}

const MAX_LABEL_LENGTH = 120
const NO_BELL = { address: undefined }

/**
 * Makes the tokens of one manager. A token names the instance that took the lock, and a count, so no two tokens are
 * ever the same. By the instance id a queue recognises its own locks.
 */
export class TokenMint {
  private readonly host: string
  /** What was made last, of what, and when. */
  private rest = ''
  private restLabel: string | undefined
  private restMs = NaN
  private restBell: string | undefined
  private count = 0

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly process: { readonly host: string; readonly pid: number },
    /** The address where others can wait for this process; it may change. */
    private readonly bell: { readonly address: string | undefined } = NO_BELL,
  ) {
    this.host = ascii(process.host)
  }

  /**
   * Draws an instance id for one session, to be used while somebody here holds the session or waits for it. The process
   * as a whole has no id: two processes resumed from one snapshot (of a machine or a container) would share it, and
   * each would take over the locks that the other holds.
   */
  instance(): string {
    return nonceOf(this.random).name()
  }

  /** Makes a new token of `instance`. Every `add` that is sent needs a new one. */
  mint(instance: string, label: string | undefined): LockToken {
    return this.nameOf(instance) + this.restOf(label)
  }

  /** The beginning of a new token of `instance`. No other token begins like this. */
  nameOf(instance: string): string {
    return `{"token":"${instance}` + `.${String(++this.count)}"`
  }

  /** What follows the name in a token that is made now: who holds the lock, and since when. */
  restOf(label: string | undefined): string {
    const wallMs = this.clock.wallMs()
    const { address } = this.bell
    if (wallMs !== this.restMs || label !== this.restLabel || address !== this.restBell) {
      const door = address === undefined ? '' : `,"bell":${ascii(address)}`
      const who = label === undefined ? '' : `,"label":${ascii(label.slice(0, MAX_LABEL_LENGTH))}`
      this.rest = `,"host":${this.host},"pid":${String(this.process.pid)}${door},"sinceMs":${String(wallMs)}${who}}`
      this.restMs = wallMs
      this.restLabel = label
      this.restBell = address
    }
    return this.rest
  }

  /** Makes the token of a grant: `instance` recognises the lock as its own and takes it over at its next poll. */
  grantTo(instance: string, granter: string): LockToken {
    return `${this.nameOf(granter)},"instance":${ascii(instance)},"sinceMs":${String(this.clock.wallMs())}}`
  }
}

const LABEL = ',"label":'

/** The label in a token of ours, as JSON: for who needs it quickly and often. '' where there is none. */
export function labelIn(token: LockToken): string {
  const at = token.lastIndexOf(LABEL)
  return at < 0 ? '' : token.slice(at + LABEL.length, -1)
}

/** A JSON string without a character beyond ASCII. */
function ascii(text: string): string {
  const json = JSON.stringify(text)
  if (!/[\u0080-\uffff]/.test(json)) return json
  return escaped(json, /[\u0080-\uffff]/g)
}

/**
 * Reads a lock's value. Never throws: the lock of another program (PHP writes "1") has no instance and an unknown
 * holder.
 */
export function readToken(value: Value): TokenContent {
  const content = parseObject(value.toString())
  const text = (name: string): string | undefined => {
    const field = content[name]
    return typeof field === 'string' ? field : undefined
  }
  const number = (name: string): number | undefined => {
    const field = content[name]
    return typeof field === 'number' ? field : undefined
  }
  return {
    instance: text('instance') ?? text('token')?.replace(/\..*$/, ''),
    holder: { host: text('host'), pid: number('pid'), sinceMs: number('sinceMs'), label: text('label') },
    bell: text('bell'),
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}

/**
 * Describes a holder to operators, as far as it is known: "web1, pid 4711, since 2026-11-20T12:00:00.000Z, GET /cart".
 */
export function describeHolder(holder: Holder | undefined): string {
  if (holder?.host === undefined) return 'an unknown holder'
  const parts = [holder.host, `pid ${String(holder.pid)}`]
  if (holder.sinceMs !== undefined && Math.abs(holder.sinceMs) < 8.64e15) {
    parts.push(`since ${new Date(holder.sinceMs).toISOString()}`)
  }
  if (holder.label !== undefined) parts.push(holder.label)
  return plainText(parts.join(', '))
}
