/** What was asked for, what was answered, what was done to the servers; and the judgement of a record by all of it. */
import type { FromWorker, Verdict, What } from './messages.js'

interface Op {
  readonly id: string
  readonly what: What
  readonly beginMs: number
  /** Infinity until it is answered, and where the answer does not say: it may be carried out any time. */
  endMs: number
  verdict: Verdict
  open: boolean
}

/** A time in which a server lost everything, by the tormentor's doing. */
export interface Restart {
  readonly fromMs: number
  /** Infinity until it is over. */
  toMs: number
}

export interface Judgement {
  readonly violations: string[]
  /** Acknowledged changes that nothing can excuse the absence of: what the judgement rests on. */
  readonly strict: number
  /** Acknowledged changes that a restart, a destroy, a short life, or a renewal took along. */
  readonly excused: number
}

export class SessionHistory {
  private readonly ops = new Map<string, Op>()
  lastMs = 0

  begin({ op, what, atMs }: Extract<FromWorker, { kind: 'begin' }>): void {
    this.lastMs = atMs
    this.ops.set(op, { id: op, what, beginMs: atMs, endMs: Infinity, verdict: 'unknown', open: true })
  }

  end({ op: id, verdict, atMs }: Extract<FromWorker, { kind: 'end' }>): void {
    const op = this.ops.get(id)
    if (op === undefined) return
    op.open = false
    op.verdict = verdict
    if (verdict !== 'unknown') op.endMs = atMs
  }

  /** The session begins with these changes: it goes on for another one, which acknowledged them. */
  inherit(ops: readonly string[], atMs: number): void {
    for (const id of ops) {
      this.ops.set(id, { id, what: 'append', beginMs: atMs, endMs: atMs, verdict: 'acknowledged', open: false })
    }
  }

  /** The process that began them is gone: what it did not tell may have happened or not. */
  orphan(worker: string): void {
    for (const op of this.ops.values()) if (op.id.startsWith(`${worker}-`)) op.open = false
  }

  get isOpen(): boolean {
    for (const op of this.ops.values()) if (op.open) return true
    return false
  }

  /** @param isKilled whether this process was killed, and may have died between a write and its announcement. */
  judge(found: readonly string[], restarts: readonly Restart[], isKilled: (op: string) => boolean): Judgement {
    const violations: string[] = []
    const ops = [...this.ops.values()]
    const ends = ops.filter(({ what, verdict }) => what !== 'append' && verdict !== 'refused')
    // A life that is short may be prolonged in time, and what a renewal leaves behind may end later: only a destroy is sure.
    const destroys = ends.filter(({ what }) => what === 'destroy')
    if (new Set(found).size !== found.length) violations.push('a change is in the record twice')
    let newestBeginMs = -Infinity
    for (const id of found) {
      const op = this.ops.get(id)
      if (op === undefined) {
        if (!isKilled(id)) violations.push(`${id} was never announced`)
        continue
      }
      if (op.verdict === 'refused') violations.push(`${id} was refused and is in the record`)
      if (op.endMs < newestBeginMs) violations.push(`${id} comes after a change that began when it was stored already`)
      newestBeginMs = Math.max(newestBeginMs, op.beginMs)
      const undone = destroys.find(({ beginMs, verdict }) => verdict === 'acknowledged' && beginMs > op.endMs)
      if (undone !== undefined) violations.push(`${id} has come back through ${undone.id}`)
      if (restarts.some(({ fromMs }) => fromMs > op.endMs)) violations.push(`${id} has come back through a restart`)
    }
    const present = new Set(found)
    let strict = 0
    let excused = 0
    for (const op of ops) {
      if (op.what !== 'append' || op.verdict !== 'acknowledged') continue
      const excusable =
        restarts.some(({ toMs }) => toMs > op.beginMs) || ends.some(({ endMs }) => endMs > op.beginMs)
      if (!excusable) strict++
      if (present.has(op.id)) continue
      if (excusable) excused++
      else violations.push(`${op.id} was acknowledged and is lost`)
    }
    return { violations, strict, excused }
  }
}
