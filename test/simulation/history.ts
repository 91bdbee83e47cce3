import { readToken } from '../../src/lock/protocol/lock-token.js'
import type { Origin } from './simulated/server.js'
import { type Command, type Reply, valueBytes } from '../../src/wire/wire.js'
import type { Timeline } from './timeline.js'
import { type Attempt, type Destroy, opsOf, type Removal, type ServerLock, SessionTruth } from './truth.js'

export type Accuse = (rule: string, detail: string) => void

/**
 * The truth of a run: every change on the server, who made it, and what the clients were told of it.
 *
 * The rules here judge single commands. The rules over whole requests are in `rules.ts`.
 */
export class History {
  readonly attempts = new Map<string, Attempt>()
  readonly sessions = new Map<string, SessionTruth>()
  readonly coverage = new Set<string>()

  constructor(
    private readonly nowMs: () => number,
    private readonly nowSec: () => number,
    /** Whether the server counts TTLs from a second that is already over. */
    private readonly isBehind: () => boolean,
    private readonly accuse: Accuse,
    private readonly timeline: Timeline,
    /** Whether a flight is carried out so late that its sender need not look for it any more. */
    private readonly isLate: (origin: Origin) => boolean,
    /** Called before a lock changes or goes, for the rules over waiting requests. */
    private readonly beforeLockChanges: (truth: SessionTruth, next: ServerLock | undefined) => void,
    /** Called when a lock has a new expiry. */
    private readonly onLease: (truth: SessionTruth) => void,
    /** Called before a record expires. */
    private readonly beforeExpiry: (truth: SessionTruth) => void,
    private readonly isDead: (actor: number | undefined) => boolean,
  ) {}

  session(id: string): SessionTruth {
    let truth = this.sessions.get(id)
    if (truth === undefined) {
      truth = new SessionTruth(id)
      this.sessions.set(id, truth)
    }
    return truth
  }

  /** Removes the lock and the record if they have expired by now. */
  expire(truth: SessionTruth): void {
    const nowSec = this.nowSec()
    if (truth.lock !== undefined && truth.lock.expiresAtSec <= nowSec) {
      this.coverage.add('expiry')
      this.timeline.add('server', () => `${truth.id}: lock of ${truth.lock?.label ?? '?'} expired`)
      this.lockIsNow(truth, undefined)
    }
    if (truth.recordExpiresAtSec > nowSec) return
    if (truth.text !== '') {
      this.beforeExpiry(truth)
      truth.tombstonesAtMs.length = 0
    }
    this.recordIsNow(truth, '', Infinity, { kind: 'expiry', destroys: [] })
  }

  executed(command: Command, reply: Reply, origin: Origin): void {
    if (origin.isZombie && command.op !== 'get') this.coverage.add('zombieExecuted')
    const { key } = command
    const isLock = key.endsWith('-lck')
    if (key.endsWith('-line')) return
    const truth = this.session(key.slice(key.indexOf(':') + 1, isLock ? -4 : undefined))
    this.expire(truth)
    this.timeline.add('server', () => describe(command, reply, origin))
    if (isLock) this.lockCommand(truth, command, reply, origin)
    else this.recordCommand(truth, command, reply, origin)
  }

  evicted(key: string): void {
    const isLock = key.endsWith('-lck')
    if (key.endsWith('-line')) return
    const truth = this.session(key.slice(key.indexOf(':') + 1, isLock ? -4 : undefined))
    if (isLock) this.rob(truth)
    else {
      truth.tombstonesAtMs.length = 0
      this.recordIsNow(truth, '', Infinity, { kind: 'eviction', destroys: [] })
    }
  }

  restarted(): void {
    for (const truth of this.sessions.values()) {
      this.rob(truth)
      // A lock that is being taken at this moment may be lost before its request has heard of it.
      for (const label of truth.lockedAtMs.keys()) truth.robbed.add(label)
      truth.tombstonesAtMs.length = 0
      this.recordIsNow(truth, '', Infinity, { kind: 'restart', destroys: [] })
    }
  }

  private rob(truth: SessionTruth): void {
    this.expire(truth)
    if (truth.lock === undefined) return
    if (truth.lock.label !== undefined) truth.robbed.add(truth.lock.label)
    this.lockIsNow(truth, undefined)
  }

  private lockCommand(truth: SessionTruth, command: Command, reply: Reply, origin: Origin): void {
    if (command.op === 'add') this.bearsName(truth, readToken(command.value).instance, origin)
    if (reply.status !== 'ok' || command.op === 'get') return
    const before = truth.lock
    const next = 'value' in command ? this.lockOf(valueBytes(command.value), command.ttlSec, truth, origin) : undefined
    const isInherited = command.op === 'cas' && this.isDead(before?.actor)
    if (isInherited) this.coverage.add('inherited')
    if (before !== undefined && before.actor !== origin.actor && !isInherited) {
      this.accuse('strangerLock', `process ${String(origin.actor)} ran ${command.op} on the lock of ${before.label ?? '?'}`)
    }
    if (command.op === 'touch') {
      if (before !== undefined) before.expiresAtSec = this.nowSec() + command.ttlSec
      return
    }
    if (before !== undefined && next !== undefined && before.token !== next.token) {
      if (next.label === undefined) this.coverage.add('grant')
      else if (command.op === 'cas') this.coverage.add('passedOn')
    }
    if (next?.label !== undefined) {
      if (!truth.lockedAtMs.has(next.label)) truth.lockedAtMs.set(next.label, origin.startedAtMs)
      // A late add of the same request, carried out after the request gave it up, makes another lock, which is
      // nobody's.
      if (!origin.isZombie) truth.tokens.set(next.label, next.token)
      // The server counts this lease from a second that is over, so the lease is shorter than its holder can know.
      if (this.isBehind()) {
        truth.robbed.add(next.label)
        this.coverage.add('serverClockBehind')
      }
    }
    this.lockIsNow(truth, next)
  }

  /**
   * Notes whose an instance id is: every add bears its author's, whether or
   * not it succeeds. A late add may bear an old id.
   */
  private bearsName(truth: SessionTruth, instance: string | undefined, { actor, isZombie }: Origin): void {
    if (instance !== undefined) truth.authors.set(instance, actor)
    if (!isZombie) truth.instances.set(actor, instance)
  }

  private lockOf(value: Buffer, ttlSec: number, truth: SessionTruth, origin: Origin): ServerLock {
    const token = value.toString()
    const sinceMs = truth.lock?.token === token ? truth.lock.sinceMs : this.nowMs()
    const expiresAtSec = this.nowSec() + ttlSec
    const isLate = origin.isZombie && this.isLate(origin)
    const { instance, holder } = readToken(value)
    // The label alone does not say whose the lock is: two processes of one memory could have the same.
    const grantee = instance === undefined ? undefined : truth.authors.get(instance)
    const actor = holder.label === undefined ? grantee : origin.actor
    return { token, actor, instance, label: holder.label, sinceMs, isLate, expiresAtSec }
  }

  private lockIsNow(truth: SessionTruth, next: ServerLock | undefined): void {
    if (truth.lock?.token !== next?.token) this.beforeLockChanges(truth, next)
    if (next === undefined) truth.freeSinceMs = this.nowMs()
    truth.lock = next
    if (next !== undefined) this.onLease(truth)
  }

  private recordCommand(truth: SessionTruth, command: Command, reply: Reply, origin: Origin): void {
    if (command.op === 'get') return
    if (command.op === 'touch') {
      if (reply.status === 'ok') this.touched(truth, command.ttlSec, origin)
      return
    }
    if (command.op === 'set' && reply.status !== 'ok') {
      // A refused `set` deletes the old item, and with it the tombstone that fenced late writes.
      truth.tombstonesAtMs.length = 0
      this.recordIsNow(truth, '', Infinity, { kind: 'refusedSet', destroys: this.destroysBy(truth, origin) })
      return
    }
    if (reply.status !== 'ok') return
    const text = 'value' in command ? opsOf(command.value.toString()) : ''
    const expiresAtSec = 'ttlSec' in command ? this.nowSec() + command.ttlSec : Infinity
    const stamp = 'flags' in command ? command.flags : undefined
    const isSame = text !== '' && text === truth.text && stamp === truth.stamp
    truth.stamp = stamp
    if (command.op === 'cas' && isSame) this.prolonged(truth, command.ttlSec, origin)
    else if (this.isBirth(truth, text, command)) this.copied(truth, text, expiresAtSec)
    else if (text === '') this.destroyed(truth, expiresAtSec, origin)
    else this.stored(truth, text, expiresAtSec)
  }

  /**
   * The record stays the same, with its stamp, and gets a new lifetime. Rule: no longer than a request of that process,
   * which had the session when the command was sent, asks for.
   */
  private prolonged(truth: SessionTruth, ttlSec: number, { actor, sentAtMs }: Origin): void {
    this.coverage.add('prolonged')
    // While a regenerate makes a session's new id, only that call knows of it, and the stay is noted when the call is
    // over: until then the stays of all sessions count.
    const isBeingMade = truth.isRotated && truth.stays.length === 0
    const stays = isBeingMade ? [...this.sessions.values()].flatMap((one) => one.stays) : truth.stays
    const asked = stays.filter((one) => one.actor === actor && one.fromMs <= sentAtMs && one.toMs >= sentAtMs)
    if (!asked.some(({ lifetimeSec }) => lifetimeSec >= ttlSec)) {
      this.accuse('strangeLifetime', `nobody asked process ${String(actor)} that ${truth.id} live for ${String(ttlSec)} s`)
    }
    truth.recordExpiresAtSec = truth.recordDueAtSec = this.nowSec() + ttlSec
    truth.changedAtMs = this.nowMs()
  }

  /** A touch names no version. Rule: it is right only under the lock, and where there is a record. */
  private touched(truth: SessionTruth, ttlSec: number, { actor }: Origin): void {
    truth.recordExpiresAtSec = this.nowSec() + ttlSec
    if (truth.text !== '' && truth.lock?.actor === actor) truth.recordDueAtSec = truth.recordExpiresAtSec
    else this.accuse('strangeLifetime', `process ${String(actor)} lets ${truth.id} live for ${String(ttlSec)} s without its lock`)
  }

  /**
   * Whether this is not a write of the session's own, but the copy that a regenerated session begins with, or the end
   * of that copy because the old session did not end. Before the first own write only the request that made the session
   * knows its id. After that a late `add` may still create the copy again, when the record has expired: absence has no
   * fence.
   */
  private isBirth(truth: SessionTruth, text: string, { op }: Command): boolean {
    if (!truth.isRotated || (truth.wasWritten && op !== 'add')) return false
    return this.attempts.get(text.slice(text.lastIndexOf(' ') + 1))?.session !== truth.id
  }

  private copied(truth: SessionTruth, text: string, expiresAtSec: number): void {
    const attempt = this.attempts.get(text.slice(text.lastIndexOf(' ') + 1))
    if (text !== '' && attempt?.text !== text) this.accuse('strangeRecord', `nobody asked for ${truth.id} = ${text}`)
    if (text !== '' && truth.text !== '') this.accuse('overwritten', `${truth.id} was copied over "${truth.text}"`)
    this.recordIsNow(truth, text, expiresAtSec, { kind: 'overwrite', destroys: [] })
  }

  private destroyed(truth: SessionTruth, expiresAtSec: number, origin: Origin): void {
    const destroys = this.destroysBy(truth, origin)
    const [only] = destroys
    if (only === undefined) this.accuse('strangeDestroy', `nobody asked process ${String(origin.actor)} to destroy ${truth.id}`)
    if (destroys.length === 1 && only !== undefined) {
      only.executed = 'yes'
      if (only.outcome === 'refused') this.accuse('refusedButStored', `a destroy of ${truth.id} was carried out after it was refused`)
    } else for (const one of destroys) if (one.executed === 'no') one.executed = 'maybe'
    this.coverage.add('destroy')
    this.recordIsNow(truth, '', expiresAtSec, { kind: 'destroy', destroys })
    truth.tombstonesAtMs.push(this.nowMs())
  }

  private destroysBy(truth: SessionTruth, { actor, sentAtMs }: Origin): Destroy[] {
    const own = truth.destroys.filter((one) => one.actor === actor && one.invokedAtMs <= sentAtMs)
    const underWay = own.filter(({ settledAtMs }) => settledAtMs >= sentAtMs)
    const again = own.filter(({ isRetiring, outcome, executed }) => isRetiring && outcome === 'acked' && executed !== 'yes')
    if (again.length > 0 && underWay.length === 0) this.coverage.add('endedLater')
    return [...new Set([...underWay, ...again])]
  }

  private stored(truth: SessionTruth, text: string, expiresAtSec: number): void {
    const attempt = this.attempts.get(text.slice(text.lastIndexOf(' ') + 1))
    if (attempt?.text !== text) {
      this.accuse('strangeRecord', `nobody asked for ${truth.id} = ${text}`)
      return
    }
    attempt.stored++
    truth.wasWritten = true
    // Absence has no fence: where a record was evicted or has expired, a writer that had found nothing may store it
    // again.
    const wasRemoved = truth.removedAtMs >= attempt.invokedAtMs
    if (attempt.stored > 1 && !wasRemoved) this.accuse('storedTwice', `${attempt.op} was stored twice`)
    if (attempt.outcome === 'refused') this.accuse('refusedButStored', `${attempt.op} was stored after it was refused`)
    const destroyedSince = truth.tombstonesAtMs.some((atMs) => atMs > attempt.baseAtMs)
    if (destroyedSince) this.accuse('cameBack', `${attempt.op} stored ${text}, read before the session was destroyed`)
    else if (attempt.base !== truth.text) {
      this.accuse('overwritten', `${attempt.op} stored ${text} over "${truth.text}", which it had not read`)
    }
    this.recordIsNow(truth, text, expiresAtSec, { kind: 'overwrite', destroys: [] })
  }

  private recordIsNow(
    truth: SessionTruth,
    text: string,
    expiresAtSec: number,
    why: Pick<Removal, 'kind' | 'destroys'>,
  ): void {
    const nowMs = this.nowMs()
    const last = truth.states.at(-1)
    const isDue = truth.recordDueAtSec <= this.nowSec()
    truth.recordExpiresAtSec = truth.recordDueAtSec = expiresAtSec
    truth.changedAtMs = nowMs
    if (why.kind !== 'destroy' && why.kind !== 'overwrite') truth.removedAtMs = nowMs
    if (last === undefined || last.text === text) return
    const kept = new Set(text.split(' '))
    for (const op of last.text.split(' ')) {
      const attempt = kept.has(op) ? undefined : this.attempts.get(op)
      if (attempt?.session === truth.id) attempt.removed = { ...why, atMs: nowMs, isDue }
    }
    last.toMs = nowMs
    truth.states.push({ text, fromMs: nowMs, toMs: Infinity })
  }
}

function describe(command: Command, reply: Reply, origin: Origin): string {
  const what = 'value' in command ? ` ${shortened(valueBytes(command.value))}` : ''
  const version = 'cas' in command ? ` @${command.cas.version}` : ''
  const answer = reply.value === undefined ? '' : ` ${shortened(valueBytes(reply.value))}`
  const cas = reply.cas === undefined ? '' : ` @${reply.cas.version}`
  const zombie = origin.isZombie ? ' (zombie)' : ''
  return `p${String(origin.actor)}${zombie} ${command.op} ${command.key}${version}${what} -> ${reply.status}${answer}${cas}`
}

function shortened(value: Buffer): string {
  const text = value.toString()
  if (!text.startsWith('{"token"')) return `"${opsOf(text)}"`
  const token = /"token":"([^"]+)"/.exec(text)?.[1] ?? ''
  return `<${readToken(value).holder.label ?? 'granted'} ${token.slice(-4)}>`
}
