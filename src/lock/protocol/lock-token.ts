import type { Holder } from '../../errors.js'
import type { Clock } from '../../system/clock.js'
import { escaped, plainText } from '../../system/plain-text.js'
import { nonceOf, type Random } from '../../system/random.js'
import type { Value } from '../../wire/wire.js'

/** A lock's value: unique per acquisition, and readable by whoever finds the session locked. ASCII. */
export type LockToken = string

export interface TokenContent {
  /** Who took the lock, or who it was granted to: see `TokenMint.instance()`. */
  readonly instance: string | undefined
  readonly holder: Holder
  /** Where its process can be waited at, by those of the same host; undefined: nowhere. */
  readonly bell: string | undefined
}

const MAX_LABEL_LENGTH = 120
const NO_BELL = { address: undefined }

/**
 * Makes the tokens of one manager. A token is the instance id of its author and a count, so no two are ever the same;
 * the instance id tells an author's tokens from those of everybody else.
 */
export class TokenMint {
  private middle: string
  private middleBell: string | undefined
  private count = 0

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly process: { readonly host: string; readonly pid: number },
    /** Where this process can be waited at. */
    private readonly bell: { readonly address: string | undefined } = NO_BELL,
  ) {
    this.middle = this.makeMiddle(undefined)
  }

  /**
   * For one session, while somebody here holds it or waits for it. Not one for the whole process: two that are resumed
   * from one snapshot (of a machine, of a container) would be two of one name, and each take over the locks that the
   * other holds.
   */
  instance(): string {
    return nonceOf(this.random).name()
  }

  /** A new token of `instance`; every add that is sent has its own. */
  mint(instance: string, label: string | undefined): LockToken {
    const who = label === undefined ? '' : `,"label":${ascii(label.slice(0, MAX_LABEL_LENGTH))}`
    if (this.bell.address !== this.middleBell) this.middle = this.makeMiddle(this.bell.address)
    return `${this.head(instance)}${this.middle}${String(this.clock.wallMs())}${who}}`
  }

  /** A token of `granter` that `instance` recognises as its own and takes over at its next poll. */
  grantTo(instance: string, granter: string): LockToken {
    return `${this.head(granter)}","instance":${ascii(instance)},"sinceMs":${String(this.clock.wallMs())}}`
  }

  /** What all tokens of this process have in common; made anew when its bell can be rung, or no longer. */
  private makeMiddle(bell: string | undefined): string {
    this.middleBell = bell
    const door = bell === undefined ? '' : `,"bell":${ascii(bell)}`
    return `","host":${ascii(this.process.host)},"pid":${String(this.process.pid)}${door},"sinceMs":`
  }

  private head(instance: string): string {
    return `{"token":"${instance}.${String(++this.count)}`
  }
}

/** A JSON string without a character beyond ASCII. */
function ascii(text: string): string {
  const json = JSON.stringify(text)
  if (!/[\u0080-\uffff]/.test(json)) return json
  return escaped(json, /[\u0080-\uffff]/g)
}

/** What a lock's value says. Total: a stranger's lock (PHP writes "1") has no instance and an unknown holder. */
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

/** "web1, pid 4711, since 2026-11-20T12:00:00.000Z, GET /cart", as far as it is known. For operators. */
export function describeHolder(holder: Holder | undefined): string {
  if (holder?.host === undefined) return 'an unknown holder'
  const parts = [holder.host, `pid ${String(holder.pid)}`]
  if (holder.sinceMs !== undefined && Math.abs(holder.sinceMs) < 8.64e15) {
    parts.push(`since ${new Date(holder.sinceMs).toISOString()}`)
  }
  if (holder.label !== undefined) parts.push(holder.label)
  return plainText(parts.join(', '))
}
